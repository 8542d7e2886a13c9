#!/usr/bin/env bash
# Runs a command with a Node.js that is new enough: the machine's, or the one that scripts/fetch-node.sh fetched.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
if ! { command -v npm >/dev/null && "$here/node-is-new-enough.sh"; }; then
    for node in "${RIVULET_CACHE:-$HOME/.cache/rivulet}"/deps/node-*/bin; do
        PATH="$node:$PATH"
    done
    export PATH
fi
exec "$@"
