#!/usr/bin/env bash
# Fills the virtual environment with what the demo's backend needs and, called
# with `test`, what the tests need too.
. "$(dirname "$0")/lib.sh"
alone tools
. .make/venv.sh

what=${1:-run}
files=(envoy/demo/backend/requirements.txt)
[ "$what" != test ] || files+=(tests/requirements.txt)

if ! fresh "target/tools/venv-$what.stamp" "${files[@]}"; then
    step python "installing ${files[*]} (about 15 s)" \
        "$venv/bin/python" -m pip install "${files[@]/#/--requirement=}"
    stamp "target/tools/venv-$what.stamp" "${files[@]}"
fi
