#!/usr/bin/env bash
# Puts on this machine what is missing: `scripts/setup.sh run` for building and running, `… test` for the tests too.
#
# System packages come from Debian's package manager, model files and (where Node.js is missing or old) Node.js from
# the Python package index, each pinned by version and SHA-256. Rust is the one thing that must be there before.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${RIVULET_CACHE:-$HOME/.cache/rivulet}"
for_what="${1:-run}"

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

# command → Debian package that has it
wanted=(protoc:protobuf-compiler cc:build-essential git:git python3:python3)
if [ "$for_what" = test ]; then
    wanted+=(chromium:chromium curl:curl)
fi

missing=()
for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
# The definitions that protoc's users import come with the compiler's development files.
[ -e /usr/include/google/protobuf/empty.proto ] || missing+=(libprotobuf-dev)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ "$for_what" = test ]; then
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail "please install: ${missing[*]} (no apt-get here)"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    printf 'setup: installing %s\n' "${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

command -v cargo >/dev/null || fail "Rust is missing: install rustup (https://rustup.rs), then run this again"
minor="$(rustc --version | sed -E 's/^rustc 1\.([0-9]+)\..*/\1/')"
[ "$minor" -ge 94 ] || fail "Rust 1.94 or newer is needed, this is $(rustc --version): run 'rustup update stable'"

"$here/fetch-models.sh" "$cache/deps"
"$here/fetch-node.sh" "$cache/deps"
