#!/usr/bin/env bash
# Makes sure of what the benchmark needs beside the filter: the load generator, and a
# virtual environment of its own for the plots, since the tests need none of that.
. "$(dirname "$0")/lib.sh"
alone bench
if ! have "${WRK_BIN:-wrk}"; then
    [ -z "${WRK_BIN:-}" ] || die "WRK_BIN=$WRK_BIN is not an executable file"
    apt_install wrk || true
    have wrk || die "wrk is missing: install it (Debian and Ubuntu: apt-get install wrk) or set WRK_BIN"
fi

. .make/venv.sh
plots=target/bench/venv
mkdir -p target/bench
if ! fresh "$plots/.installed" benches/requirements.txt; then
    rm -rf "$plots"
    step bench-venv "making a virtual environment for the plots (about 5 s)" python3 -m venv "$plots"
    step bench-python "installing benches/requirements.txt (about 20 s)" \
        "$plots/bin/python" -m pip install --requirement benches/requirements.txt
    stamp "$plots/.installed" benches/requirements.txt
fi
