#!/usr/bin/env bash
# Leaves an h2load for the tests at target/tools/h2load: H2LOAD_BIN when given,
# else one that is installed, else Debian's package.
. "$(dirname "$0")/lib.sh"
alone h2load

find_h2load() { command -v -- "${H2LOAD_BIN:-h2load}"; }

[ -z "${H2LOAD_BIN:-}" ] || have "$H2LOAD_BIN" || die "H2LOAD_BIN=$H2LOAD_BIN is not an executable file"
if ! binary=$(find_h2load); then
    apt_install nghttp2-client || true
    binary=$(find_h2load) ||
        die "h2load is missing: install it (Debian: apt-get install nghttp2-client) or set H2LOAD_BIN"
fi
# A name with a slash is relative to the root, and the link is not.
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac
ln -sfn "$binary" target/tools/h2load
