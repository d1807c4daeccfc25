#!/usr/bin/env bash
# Writes target/session_bearer.wasm, the filter as Envoy loads it. The module is
# what the compiler made of it: a later optimiser would have to be the same version
# everywhere for two machines to get the same bytes.
. "$(dirname "$0")/lib.sh"
alone wasm
. .make/wasm-toolchain.sh
module=target/session_bearer.wasm

step wasm-build "building the filter (about 2 minutes the first time, then seconds)" \
    wasm_cargo build --lib --release

# An unchanged module keeps its time, so that nothing is made again because of it.
built=$target_dir/$target/release/session_bearer.wasm
cmp -s "$built" "$module" || { cp "$built" "$module.part" && mv "$module.part" "$module"; }
say "wasm: $module, $(($(wc -c <"$module") / 1024)) KiB"
