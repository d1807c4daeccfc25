#!/usr/bin/env bash
# Writes target/session-bearer, the command that checks and explains configurations. It is
# built as the tests are, which run it too: what it does takes milliseconds in any profile.
. "$(dirname "$0")/lib.sh"
need cargo "install Rust, for instance with rustup"

step command-build "building the command (a few minutes the first time, then seconds)" \
    cargo build --locked --features cli --bin session-bearer
ln -sf debug/session-bearer target/session-bearer
say "command: target/session-bearer"
