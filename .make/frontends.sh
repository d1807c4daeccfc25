#!/usr/bin/env bash
# Installs the frontends of the tests exactly as their lock files say, and builds them in place.
. "$(dirname "$0")/lib.sh"
alone frontends
cd tests/frontends
need node "install Node.js 20 or newer"
need npm "it comes with Node.js"
version=$(node -p process.versions.node)
[ "${version%%.*}" -ge 20 ] || die "node is $version, and 20 or newer is needed"
export NEXT_TELEMETRY_DISABLED=1

# frontend NAME OUTPUT: installs it when its lock file has changed, builds it into OUTPUT when anything has.
frontend() {
    local name=$1 output=$2 installed=node_modules/.installed files
    cd "$name"
    if ! fresh "$installed" package.json package-lock.json; then
        step "npm-$name" "installing the $name frontend (about 15 s)" npm ci --no-audit --no-fund
        stamp "$installed" package.json package-lock.json
    fi
    mapfile -t files < <(find . \( -name node_modules -o -name "$output" -o -name next-env.d.ts -o -name '*.tsbuildinfo' \) -prune -o -type f -print | LC_ALL=C sort)
    if ! fresh "$output/.built" "${files[@]}"; then
        step "build-$name" "building the $name frontend (about 20 s)" npm run build
        stamp "$output/.built" "${files[@]}"
    fi
    cd ..
}

frontend react dist
frontend next .next
