#!/usr/bin/env bash
# Leaves Prometheus and promtool for the tests at target/tools/prometheus and
# target/tools/promtool: PROMETHEUS_BIN and PROMTOOL_BIN when given, else those
# that are installed, else the two files of Debian's package. The package is
# unpacked and not installed, because installing it would start a server on
# port 9090.
. "$(dirname "$0")/lib.sh"
alone prometheus
unpacked=target/tools/prometheus-debian

find_tool() { # NAME CHOSEN
    command -v -- "${2:-$1}" || { [ -z "$2" ] && command -v -- "$unpacked/usr/bin/$1"; }
}

find_both() {
    prometheus=$(find_tool prometheus "${PROMETHEUS_BIN:-}") && promtool=$(find_tool promtool "${PROMTOOL_BIN:-}")
}

download() {
    limit 300 apt-get download prometheus
}

refresh_lists() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    limit 300 "${as_root[@]}" apt-get update
}

# Elsewhere first, so that what was cut off is not taken for whole.
unpack() {
    local target=$PWD/$unpacked
    rm -rf "$target" "$target.part"
    mkdir -p "$target.part" && cd "$target.part" &&
        { download || { refresh_lists && download; }; } &&
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/prometheus ./usr/bin/promtool &&
        rm prometheus_*.deb && mv "$target.part" "$target"
}

for chosen in PROMETHEUS_BIN PROMTOOL_BIN; do
    [ -z "${!chosen:-}" ] || have "${!chosen}" || die "$chosen=${!chosen} is not an executable file"
done
if ! find_both; then
    if have apt-get && have dpkg-deb; then
        step prometheus "unpacking Debian's prometheus (about 5 s)" unpack || true
    fi
    find_both || die "prometheus and promtool are missing: install them, or set PROMETHEUS_BIN and PROMTOOL_BIN"
fi
# A name with a slash is relative to the root, and the link is not.
case $prometheus in /*) ;; *) prometheus=$PWD/$prometheus ;; esac
case $promtool in /*) ;; *) promtool=$PWD/$promtool ;; esac
ln -sfn "$prometheus" target/tools/prometheus
ln -sfn "$promtool" target/tools/promtool
