#!/usr/bin/env bash
# Leaves what the tests of the packages run beside Envoy: a registry at target/tools/registry (REGISTRY_BIN when given,
# else one that is installed, else Debian's), and where there is func-e, or a Go to build it, func-e at target/tools/func-e.
. "$(dirname "$0")/lib.sh"
alone packages
func_e_version=v1.6.0

find_registry() {
    local name
    for name in ${REGISTRY_BIN:+"$REGISTRY_BIN"} docker-registry registry; do
        command -v -- "$name" && return
    done
    return 1
}

# Installed, Debian's registry would run as a service from then on. It is only taken out of its package.
unpack_registry() {
    have apt-get && have dpkg-deb || return 1
    local folder=target/tools/registry-package
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && apt-get download docker-registry) ||
        { apt-get update && (cd "$folder" && apt-get download docker-registry); } || return 1
    dpkg-deb --extract "$folder"/docker-registry_*.deb "$folder"
}

[ -z "${REGISTRY_BIN:-}" ] || have "$REGISTRY_BIN" || die "REGISTRY_BIN=$REGISTRY_BIN is not an executable file"
if ! binary=$(find_registry); then
    binary=$PWD/target/tools/registry-package/usr/bin/docker-registry
    [ -x "$binary" ] || step registry "fetching a registry to push the image to (5 MB, seconds)" unpack_registry ||
        die "a registry is missing: install it (Debian: apt-get install docker-registry) or set REGISTRY_BIN"
fi
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac
ln -sfn "$binary" target/tools/registry

built=func-e-$func_e_version
if binary=$(command -v func-e); then
    ln -sfn "$binary" target/tools/func-e
elif have go; then
    if [ ! -x "target/tools/$built/func-e" ]; then
        say "func-e: building $func_e_version (about a minute, once)"
        attempt func-e env GOBIN="$PWD/target/tools/$built" go install "github.com/tetratelabs/func-e/cmd/func-e@$func_e_version" ||
            say "func-e: this Go cannot build it (target/logs/func-e.log), so its test is skipped"
    fi
    ln -sfn "$built/func-e" target/tools/func-e
fi
