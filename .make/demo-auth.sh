#!/usr/bin/env bash
# Installs the demo's auth service exactly as its lock file says. SQLite's binding
# is native code: npm fetches it ready-made where it can and compiles it otherwise.
. "$(dirname "$0")/lib.sh"
alone demo-auth
cd envoy/demo/auth
need node "install Node.js 20 or newer"
need npm "it comes with Node.js"
version=$(node -p process.versions.node)
[ "${version%%.*}" -ge 20 ] || die "node is $version, and 20 or newer is needed"

# npm removes node_modules first, and the stamp with it. Native code fits one major
# version of Node, which is why the name holds it.
stamp=node_modules/.installed-for-${version%%.*}
fresh "$stamp" package.json package-lock.json && exit 0

# The headers that came with node save the compiler's front end from fetching them.
prefix=$(node -p 'path.dirname(path.dirname(process.execPath))')
[ ! -f "$prefix/include/node/node.h" ] || export npm_config_nodedir=$prefix

if ! step npm "installing the demo's auth service (10 s, or 2 minutes when SQLite's binding is compiled)" \
    npm ci --no-audit --no-fund; then
    if grep -q 'better-sqlite3\|node-gyp' "$logs/npm.log"; then
        die "SQLite's binding could neither be fetched nor compiled: compiling needs make, g++ and python3 (Debian and Ubuntu: apt-get install build-essential python3)"
    fi
    exit 1
fi
stamp "$stamp" package.json package-lock.json
