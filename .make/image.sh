#!/usr/bin/env bash
# Packs the module as an OCI image below target/image, in the one form that Istio, Envoy
# Gateway and every registry take ("compat"). No daemon, no base image, no time of day:
# the same module gives the same digest. With IMAGE=registry/name:tag it is pushed there.
. "$(dirname "$0")/lib.sh"
alone image
if ! have buildah; then
    apt_install buildah || true
    need buildah "install it (Debian and Ubuntu: apt-get install buildah)"
fi
version=$(version_of_crate)
module=target/session_bearer.wasm

# Folders in a layer may be closed to writing, and with it to removing.
forget_work() {
    [ ! -e target/image-work ] || chmod -R u+rwX target/image-work
    rm -rf target/image-work
}
forget_work
rm -rf target/image
mkdir -p target/image-work/context
install -m 644 "$module" target/image-work/context/session_bearer.wasm

# A storage of its own leaves the user's images alone and needs no overlay mounts.
buildah=(buildah --storage-driver vfs --root "$PWD/target/image-work/root" --runroot "$PWD/target/image-work/run")
# A module has no platform; one is named, so that machines of different kinds make the same image.
step image-build "building the image (a second)" \
    "${buildah[@]}" bud --isolation chroot --timestamp 0 --identity-label=false --platform linux/amd64 \
    --annotation module.wasm.image/variant=compat \
    --annotation org.opencontainers.image.title=session-bearer \
    --annotation "org.opencontainers.image.version=$version" \
    --annotation org.opencontainers.image.licenses=Apache-2.0 \
    --tag session-bearer --file envoy/Containerfile target/image-work/context
step image-export "exporting the image (a second)" \
    "${buildah[@]}" push --digestfile target/image-work/digest session-bearer "oci:target/image:$version"
digest=$(cat target/image-work/digest)
printf '%s\n' "$digest" >target/image.digest

if [ -n "${IMAGE:-}" ]; then
    # A registry keeps the bytes it is sent, and so the digest.
    step image-push "pushing the image to $IMAGE (seconds)" "${buildah[@]}" push --tls-verify="${IMAGE_TLS_VERIFY:-true}" session-bearer "docker://$IMAGE" ||
        die "log in with 'buildah login ${IMAGE%%/*}', and check the name; IMAGE_TLS_VERIFY=false is for a registry without TLS"
    say "image: pushed, oci://${IMAGE%:*}@$digest"
fi
forget_work

say "image: target/image, session-bearer $version"
say "image: digest $digest (what a WasmPlugin and an EnvoyExtensionPolicy call sha256)"
say "image: module sha256:$(sha256sum "$module" | cut -d' ' -f1)"
