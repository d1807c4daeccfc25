#!/usr/bin/env bash
# Makes sure of curl, with which a test tries what `make run` says to try.
. "$(dirname "$0")/lib.sh"
have curl || apt_install curl || true
need curl "install it (Debian and Ubuntu: apt-get install curl)"
