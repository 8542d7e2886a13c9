#!/usr/bin/env bash
# A folder with the packages of a list, to install from without any network: `scripts/wheels.sh REQUIREMENTS` prints its
# path. Kept between runs; another list or another Python gets another folder.
set -euo pipefail

[ $# -eq 1 ] || {
    printf 'wheels: usage: wheels.sh REQUIREMENTS\n' >&2
    exit 1
}
folder="${RIVULET_CACHE:-$HOME/.cache/rivulet}/deps/wheels-$( (python3 -V && cat "$1") | sha256sum | cut -c1-16)"
if [ ! -e "$folder" ]; then
    rm -rf "$folder.part"
    python3 -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        --dest "$folder.part" --requirement "$1" >&2
    mv "$folder.part" "$folder"
fi
printf '%s\n' "$folder"
