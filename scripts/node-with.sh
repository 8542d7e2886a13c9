#!/usr/bin/env bash
# A folder that has the packages of a list: `scripts/node-with.sh FOLDER` prints its path. FOLDER has package.json,
# package-lock.json and .npmrc. Kept between runs; another list gets another folder.
set -euo pipefail

[ $# -eq 1 ] || {
    printf 'node-with: usage: node-with.sh FOLDER\n' >&2
    exit 1
}
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
name="$(basename "$(dirname "$(realpath "$1")")")"
folder="${RIVULET_CACHE:-$HOME/.cache/rivulet}/deps/$name-node-$(sha256sum "$1/package-lock.json" | cut -c1-16)"
if [ ! -e "$folder/node_modules/.package-lock.json" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$1"/{package.json,package-lock.json,.npmrc} "$folder/"
    "$here/with-node.sh" npm --prefix "$folder" ci --no-progress >&2
fi
printf '%s\n' "$folder"
