#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_SECONDS. What the fuzzer learns stays in
# target/fuzz/corpus, so that the next run starts where this one ended.
. "$(dirname "$0")/lib.sh"
seconds=${FUZZ_SECONDS:?is set by the Makefile}
need rustup "fuzzing needs nightly Rust, which rustup installs"
RUSTUP_AUTO_INSTALL=0 cargo +nightly --version >/dev/null 2>&1 ||
    die "nightly Rust is missing: rustup toolchain install nightly"
need c++ "libFuzzer is C++ and needs a compiler (Debian and Ubuntu: apt-get install g++)"

PATH=$PWD/target/tools/bin:$PATH
have cargo-fuzz || step cargo-fuzz "installing cargo-fuzz (about a minute, once)" \
    cargo install --locked cargo-fuzz --root target/tools

shopt -s nullglob
sources=(fuzz/fuzz_targets/*.rs)
[ ${#sources[@]} -gt 0 ] || die "there is nothing in fuzz/fuzz_targets"
step fuzz-build "building ${#sources[@]} fuzz targets (about 2 minutes the first time)" \
    cargo +nightly fuzz build --target-dir target/fuzz/build

for source in "${sources[@]}"; do
    name=$(basename "$source" .rs)
    corpus=target/fuzz/corpus/$name artifacts=target/fuzz/artifacts/$name/
    mkdir -p "$corpus" "$artifacts"
    seeds=()
    [ ! -d "fuzz/seeds/$name" ] || seeds=("fuzz/seeds/$name")
    step "fuzz-$name" "fuzzing for $seconds s" \
        cargo +nightly fuzz run --target-dir target/fuzz/build "$name" "$corpus" ${seeds[@]+"${seeds[@]}"} \
        -- -max_total_time="$seconds" -artifact_prefix="$artifacts" -timeout=10 ||
        die "the failing input is in $artifacts; run it again with: cargo +nightly fuzz run $name FILE"
    say "fuzz-$name: $(grep -o 'Done [0-9]* runs.*' "$logs/fuzz-$name.log" || echo "no summary in its log")"
done
