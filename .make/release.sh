#!/usr/bin/env bash
# Gathers what a release consists of in target/release-VERSION, with the checksums of it all: the module, the image, what
# the module is made of, and the manifests with the image's digest in them. The same commit and compiler give the same
# files. Called with `check`, it only says whether there is anything in the way; with `module`, it leaves native programs out.
. "$(dirname "$0")/lib.sh"
alone release
version=$(version_of_crate)

# What is released should be what is committed, and told of. FORCE=1 gathers it all the same, to try it.
refuse() { [ "${FORCE:-}" = 1 ] || die "$1, or say FORCE=1"; }
[ -z "$(git status --porcelain)" ] || refuse "the work tree has changes that are not committed (git status): commit them"
grep -qE "^## \[?${version//./\\.}\]?( |$)" CHANGELOG.md ||
    refuse "CHANGELOG.md has no entry for $version: give it a heading '## $version - $(date +%Y-%m-%d)' above what has changed"
[ "${1:-}" != check ] || exit 0

digest=$(cat target/image.digest)
release=target/release-$version
part=$release.part
name=session-bearer-$version

# add_binary NAME FEATURE: a native program beside the module, for this machine's kind of machine.
add_binary() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    step "release-$1" "building $1 for $host (a minute or two the first time)" env \
        RUSTFLAGS="--remap-path-prefix=$PWD=/session-bearer --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        cargo build --locked --release --bin "$1" --features "$2" --target "$host" --target-dir target/native
    install -m 755 "target/native/$host/release/$1" "$part/$1-$version-$host"
}

rm -rf "$part"
mkdir -p "$part"
install -m 644 target/session_bearer.wasm "$part/session_bearer.wasm"
[ "${1:-}" = module ] || add_binary session-bearer cli

tar --create --file "$part/$name.image.tar" --directory target/image \
    --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX .
printf '%s\n' "$digest" >"$part/$name.image.digest"
step release-sbom "listing what the module is made of (seconds)" \
    target/tools/venv/bin/python .make/sbom.py target/session_bearer.wasm "$part/$name.cdx.json"

zeros=0000000000000000000000000000000000000000000000000000000000000000
for manifest in envoy/istio/*.yaml envoy/gateway/*.yaml; do
    mkdir -p "$part/$(dirname "${manifest#envoy/}")"
    sed "s/$zeros/${digest#sha256:}/" "$manifest" >"$part/${manifest#envoy/}"
done
install -m 644 envoy/envoy.yaml CHANGELOG.md LICENSE "$part"

(cd "$part" && find . -type f ! -name SHA256SUMS -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)
rm -rf "$release"
mv "$part" "$release"
say "release: $release, $(wc -l <"$release/SHA256SUMS") files"
sed 's/^/release: /' "$release/SHA256SUMS"
