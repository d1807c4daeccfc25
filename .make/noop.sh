#!/usr/bin/env bash
# Writes target/noop.wasm, a filter that does nothing: the benchmark measures beside it
# what any filter of this SDK costs.
. "$(dirname "$0")/lib.sh"
alone wasm
. .make/wasm-toolchain.sh

step noop-build "building the filter that does nothing (about 20 s the first time, then seconds)" \
    wasm_cargo build --manifest-path benches/noop/Cargo.toml --release
cp "$target_dir/$target/release/noop.wasm" target/noop.wasm.part
mv target/noop.wasm.part target/noop.wasm
