#!/usr/bin/env bash
# Everything that reads the code without running it. The lints hold invariants of
# the architecture, so a missing tool is a failure and not a skip. Called with
# `quick`, it does the part that belongs to every run of the tests.
. "$(dirname "$0")/lib.sh"
need cargo "install Rust, for instance with rustup"
cargo fmt --version >/dev/null 2>&1 || die "rustfmt is missing: rustup component add rustfmt, or your distribution's package"
cargo clippy --version >/dev/null 2>&1 || die "clippy is missing: rustup component add clippy, or your distribution's package"

step fmt "checking the formatting (a second)" cargo fmt --check -- --color never
step clippy "linting (about a minute the first time)" \
    cargo clippy --locked --all-targets --features cli -- -D warnings
# Nothing is linked, so libFuzzer itself, which takes a C++ compiler, need not be built.
step fmt-fuzz "checking the fuzz targets' formatting (a second)" \
    cargo fmt --check --manifest-path fuzz/Cargo.toml -- --color never
step check-fuzz "checking that the fuzz targets compile (half a minute the first time)" \
    env CUSTOM_LIBFUZZER_PATH=/none/libfuzzer.a cargo check --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz/check
[ "${1:-}" != quick ] || exit 0

. .make/wasm-toolchain.sh
if [ "$target_dir" = target/wasm-debian ] && ! apt_install rust-web-clippy; then
    say "lint: no clippy for $target here, since Debian's rust-web-clippy could not be installed; linted natively only"
else
    step clippy-wasm "linting for $target (1 to 3 minutes the first time)" \
        wasm_cargo clippy --lib -- -D warnings
fi

# The documentation is for those who work on the filter, so private items are part of it
# and may be linked to.
step doc "building the documentation (about half a minute the first time)" \
    env RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --no-deps --document-private-items --locked

PATH=$PWD/target/tools/bin:$PATH
have cargo-deny || step cargo-deny "installing cargo-deny (about 5 minutes, once)" \
    cargo install --locked cargo-deny --root target/tools
checks=(bans licenses sources)
if attempt deny-fetch limit 60 cargo deny fetch db; then
    checks+=(advisories)
else
    say "lint: the advisory database could not be fetched, so advisories were not checked (target/logs/deny-fetch.log)"
fi
step deny "checking dependencies: ${checks[*]} (seconds)" cargo deny --locked check "${checks[@]}"
say "lint: no complaints"
