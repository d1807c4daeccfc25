#!/usr/bin/env bash
# Packs the module as an OCI image below target/image, in the form that Istio and
# Envoy Gateway pull. No daemon, no base image, no time of day: the same module
# gives the same digest.
. "$(dirname "$0")/lib.sh"
need buildah "install it (Debian and Ubuntu: apt-get install buildah)"
rm -rf target/image target/image-work
mkdir -p target/image-work/context
install -m 644 target/session_bearer.wasm target/image-work/context/session_bearer.wasm

# A storage of its own leaves the user's images alone and needs no overlay mounts.
buildah=(buildah --storage-driver vfs --root "$PWD/target/image-work/root" --runroot "$PWD/target/image-work/run")
step image-build "building the image (a few seconds)" \
    "${buildah[@]}" bud --isolation chroot --timestamp 0 --identity-label=false \
    --annotation module.wasm.image/variant=compat \
    --tag session-bearer --file envoy/Containerfile target/image-work/context
step image-push "exporting the image (a few seconds)" \
    "${buildah[@]}" push --digestfile target/image-work/digest session-bearer oci:target/image:latest
say "image: target/image, $(cat target/image-work/digest)"
rm -rf target/image-work
