#!/usr/bin/env bash
# A Python that has the packages of a list: `scripts/python-with.sh REQUIREMENTS MODULE` prints the path of its program.
# MODULE is one that is there when all are. Kept between runs; another list gets another folder.
set -euo pipefail

[ $# -eq 2 ] || {
    printf 'python-with: usage: python-with.sh REQUIREMENTS MODULE\n' >&2
    exit 1
}
list="$1" module="$2"
venv="${RIVULET_CACHE:-$HOME/.cache/rivulet}/deps/python-$(sha256sum "$list" | cut -c1-16)"
if ! "$venv/bin/python" -c "import $module" 2>/dev/null; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement "$list" >&2
fi
printf '%s\n' "$venv/bin/python"
