#!/usr/bin/env bash
# Runs the Autobahn WebSocket suite against the gateway's socket settings (examples/echo.rs), fails when a case does, and
# writes the results into docs/conformance.md.
#
#     tests/conformance/autobahn.sh
#
# The suite is a program for Python 2.7, installed from the Python package index, pinned by hash, into the cache folder.
# PYTHON27 names the interpreter where it is not found. ECHO_SERVER names the built example, which is built otherwise.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
pins="$here/autobahn.requirements.txt"
cache="${RIVULET_CACHE:-$HOME/.cache/rivulet}"
suite="$cache/deps/autobahn-$(sha256sum "$pins" | cut -c1-16)"
listening_within_s=10

fail() {
    printf 'autobahn: %s\n' "$1" >&2
    exit 1
}

# Tells where Python 2.7 is; Debian 12 has none any more, pyenv does.
find_python() {
    local candidate
    for candidate in "${PYTHON27:-}" python2.7 "$HOME"/.pyenv/versions/2.7*/bin/python2.7; do
        if [ -n "$candidate" ] && "$candidate" -c '' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "NOT RUN: the suite needs Python 2.7, and there is none; 'pyenv install 2.7.18' builds one, PYTHON27 names it"
}

python="$(find_python)"
if [ ! -d "$suite" ]; then
    echo "autobahn: installing the suite"
    work="$(mktemp -d "$cache/deps/.autobahn.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$pins" --target "$work" 2>&1 |
        grep -v DEPRECATION || [ "${PIPESTATUS[0]}" -eq 0 ] || fail "pip could not install the suite (see above)"
    mv "$work" "$suite"
fi

if [ -z "${ECHO_SERVER:-}" ]; then
    cargo build --locked --manifest-path "$root/Cargo.toml" --example echo
    ECHO_SERVER="${CARGO_TARGET_DIR:-$root/target}/debug/examples/echo"
fi

reports="$(mktemp -d)"
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
"$ECHO_SERVER" "127.0.0.1:$port" &
echo_server=$!
trap 'kill "$echo_server" 2>/dev/null || true; rm -rf "$reports"' EXIT
for ((left = listening_within_s * 10; left > 0; left--)); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done
[ "$left" -gt 0 ] || fail "the echo server does not listen"

# 12 and 13 are about compression, which the gateway never agrees to.
cat >"$reports/spec.json" <<EOF
{"outdir": "$reports/out", "servers": [{"agent": "rivulet", "url": "ws://127.0.0.1:$port"}],
 "cases": ["*"], "exclude-cases": ["12.*", "13.*"], "exclude-agent-cases": {}}
EOF
# Its packages share a namespace with .pth files, which only `addsitedir` reads.
cat >"$reports/client.py" <<EOF
import site, sys
site.addsitedir("$suite")
sys.path.insert(0, "$suite")
from autobahntestsuite.wstest import run
sys.argv = ["wstest", "--mode", "fuzzingclient", "--spec", "$reports/spec.json"]
run()
EOF
"$python" -W ignore "$reports/client.py" >"$reports/log" 2>&1 || { tail -20 "$reports/log" >&2; fail "the suite itself failed"; }
python3 "$here/report.py" "$reports/out/index.json" "$root/docs/conformance.md"
