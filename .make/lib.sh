# Sourced by the scripts beside it: strict mode, the repository's root as the
# working directory, and one way to report progress, a failure, a missing tool.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
logs=$PWD/target/logs
mkdir -p target/tools "$logs"

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# need TOOL HINT: stops with one line when TOOL is not on PATH.
need() { have "$1" || die "$1 is missing: $2"; }

# The version that Cargo.toml gives the crate.
version_of_crate() { sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1; }

# attempt NAME COMMAND...: runs it with everything it prints in target/logs/NAME.log.
attempt() {
    local log=$logs/$1.log
    shift
    ("$@") >"$log" 2>&1 </dev/null
}

# step NAME "what (about how long)" COMMAND...: one line of progress, and on
# failure the end of the log, so that nobody has to go and look for it.
step() {
    local name=$1 what=$2
    shift 2
    say "$name: $what"
    attempt "$name" "$@" && return
    tail -n 30 "$logs/$name.log" >&2
    printf 'error: %s failed; the whole output is in target/logs/%s.log\n' "$name" "$name" >&2
    return 1
}

# limit SECONDS COMMAND...: a network that swallows packets must not hang a build.
limit() {
    local seconds=$1
    shift
    if have timeout; then timeout "$seconds" "$@"; else "$@"; fi
}

# alone NAME: two runs of make in one checkout wait for each other here.
alone() {
    have flock || return 0
    exec 9>"target/tools/.$1.lock"
    flock 9
}

# A stamp holds the checksums of a step's inputs as they were when it last succeeded.
fresh() { # STAMP FILE...
    local stamp=$1
    shift
    [ -f "$stamp" ] && [ "$(cksum "$@")" = "$(cat "$stamp")" ]
}
stamp() { # STAMP FILE...
    local stamp=$1
    shift
    cksum "$@" >"$stamp"
}

# apt_install PACKAGE...: installs what is not there yet; false when this is no
# Debian or there is no right to install. Never asks for a password.
apt_install() {
    local missing=() as_root=() package
    for package in "$@"; do
        [ "$(dpkg-query -Wf '${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    have apt-get || return 1
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo -n)
        sudo -n true 2>/dev/null || return 1
    fi
    say "apt: installing ${missing[*]} (about a minute)"
    attempt apt-update limit 300 "${as_root[@]}" apt-get update || true
    attempt apt-install "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-remove --no-install-recommends "${missing[@]}"
}
