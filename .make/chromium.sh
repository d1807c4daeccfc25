#!/usr/bin/env bash
# Leaves a Chromium for the browser tests at target/tools/chromium: CHROMIUM_BIN
# when given, else one that is installed, else Debian's package.
. "$(dirname "$0")/lib.sh"
alone chromium

find_chromium() {
    local name
    for name in ${CHROMIUM_BIN:+"$CHROMIUM_BIN"} chromium chromium-browser google-chrome; do
        command -v -- "$name" && return
    done
    return 1
}

[ -z "${CHROMIUM_BIN:-}" ] || have "$CHROMIUM_BIN" || die "CHROMIUM_BIN=$CHROMIUM_BIN is not an executable file"
if ! binary=$(find_chromium); then
    apt_install chromium || true
    binary=$(find_chromium) ||
        die "Chromium is missing: install it (Debian: apt-get install chromium) or set CHROMIUM_BIN"
fi
# A name with a slash is relative to the root, and the link is not.
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac
ln -sfn "$binary" target/tools/chromium
