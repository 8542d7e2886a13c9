#!/usr/bin/env bash
# Starts the gateway and talks to it from outside: `scripts/e2e.sh RIVULET_BINARY`. The page in a real browser, the packages
# for JavaScript as docs/packages.md shows them, the Vercel AI SDK unchanged, then a client in plain Python that knows only the protocol, the official
# `openai` packages for Python and Node.js, the official packages of MCP as client and servers, and the examples in four
# languages, of which those in Rust are in the folder `examples` beside the binary.
# RIVULET_KNOWLEDGE_MODEL_DIR names the embedding model.
# The gateway takes a free port, keeps its data in a temporary folder, and is gone when this is over.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

READY_WITHIN_S=90
STOPPED_WITHIN_S=40

fail() {
    printf 'e2e: %s\n' "$1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: e2e.sh RIVULET_BINARY"
binary="$(realpath "$1")"
[ -x "$binary" ] || fail "$1 is no program: make build"
: "${RIVULET_KNOWLEDGE_MODEL_DIR:?e2e: names the folder of the embedding model; make e2e sets it}"
model_dir="$(realpath "$RIVULET_KNOWLEDGE_MODEL_DIR")"
cache="${RIVULET_CACHE:-$HOME/.cache/rivulet}"

work="$(mktemp -d)"
log="$work/gateway.log"
gateway=
client=

finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM
    if [ -n "$client" ]; then
        kill -TERM -- "-$client" 2>/dev/null || true
        wait "$client" || true
    fi
    if [ -n "$gateway" ] && ! stop_gateway; then
        status=1
    fi
    if [ "$status" -ne 0 ] && [ -e "$log" ]; then
        printf 'e2e: the log of the gateway:\n' >&2
        cat "$log" >&2
    fi
    rm -rf "$work"
    exit "$status"
}

# Asks the gateway to end, and fails when it does not end well.
stop_gateway() {
    local left=$((STOPPED_WITHIN_S * 10)) ended=0
    kill -TERM "$gateway" 2>/dev/null || true
    while kill -0 "$gateway" 2>/dev/null; do
        if [ "$left" -eq 0 ]; then
            printf 'e2e: the gateway was still there %s s after SIGTERM\n' "$STOPPED_WITHIN_S" >&2
            kill -KILL "$gateway" 2>/dev/null || true
            break
        fi
        left=$((left - 1))
        sleep 0.1
    done
    wait "$gateway" || ended=$?
    [ "$ended" -eq 0 ] || printf 'e2e: the gateway ended with status %s\n' "$ended" >&2
    return "$ended"
}

# Runs a client of the gateway. In the background, because a signal would not be heard before it is over otherwise.
run() {
    local failed=0
    "$@" &
    client=$!
    wait "$client" || failed=$?
    client=
    return "$failed"
}

# Every job gets a process group of its own: Ctrl-C ends this script, and this script ends them, in order.
set -m
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# An empty configuration and an empty environment: what somebody has set up for a gateway of his own, from an edited
# rivulet.toml to REDIS_URL, is not what is tested. Known answers come at once, and the page is to be seen streaming:
# nothing is kept.
: >"$work/rivulet.toml"
env -i PATH="$PATH" HOME="$work" TMPDIR="$work" NO_COLOR=1 \
    RIVULET_KNOWLEDGE_MODEL_DIR="$model_dir" RIVULET_KNOWLEDGE_PRELOAD=sample-knowledge \
    RIVULET_LLM_CACHE_ENTRIES=0 "$binary" serve --config "$work/rivulet.toml" --bind 127.0.0.1:0 --data-dir "$work/data" >"$log" 2>&1 &
gateway=$!

# The address, as soon as the log tells it.
address() {
    sed -n 's|.*listening on \(http://127\.0\.0\.1:[0-9]*\).*|\1|p' "$log" | head -n 1
}

# Succeeds when the gateway answers and has read the sample knowledge.
ready() {
    [ -n "$1" ] && curl --noproxy '*' --silent --fail --max-time 5 "$1/ready" 2>/dev/null |
        grep -q '"knowledge":{"state":"ready"'
}

deadline=$((SECONDS + READY_WITHIN_S))
until url="$(address)" && ready "$url"; do
    kill -0 "$gateway" 2>/dev/null || fail "the gateway ended before it was ready"
    [ "$SECONDS" -lt "$deadline" ] || fail "the gateway was not ready within $READY_WITHIN_S s"
    sleep 0.2
done

# What the gateway tells Prometheus, in promtool's eyes.
scripts/fetch-promtool.sh "$cache/deps"
PATH="$PATH:$cache/deps/promtool"
curl --noproxy '*' --silent --fail --max-time 5 "$url/metrics" | promtool check metrics ||
    fail "promtool does not like /metrics"

# Sets `program` to a copy of tests/sdk/node/sdk.mjs that has its packages beside it.
node_sdk() {
    local folder
    folder="$(RIVULET_CACHE="$cache" scripts/node-with.sh tests/sdk/node)"
    cp tests/sdk/node/sdk.mjs "$folder/"
    program="$folder/sdk.mjs"
}

run env RIVULET_URL="$url" RIVULET_BINARY="$binary" RIVULET_CACHE="$cache" RIVULET_KNOWLEDGE_MODEL_DIR="$model_dir" \
    scripts/with-node.sh npm --prefix web-demo run e2e
run env RIVULET_URL="$url" RIVULET_BINARY="$binary" RIVULET_CACHE="$cache" scripts/with-node.sh npm --prefix packages/proof run e2e
python="$(scripts/python-with.sh tests/plain/requirements.txt websockets)"
run "$python" tests/plain/client.py "$url"
# The gateways are on this machine, whatever proxy the environment names.
python="$(scripts/python-with.sh tests/sdk/python/requirements.txt openai)"
run env NO_PROXY='*' no_proxy='*' "$python" tests/sdk/python/sdk.py "$url" "$binary"
node_sdk
run env RIVULET_CACHE="$cache" scripts/with-node.sh node "$program" "$url" "$binary"
python="$(scripts/python-with.sh tests/mcp/requirements.txt mcp_server_time)"
node="$(RIVULET_CACHE="$cache" scripts/with-node.sh sh -c 'command -v node')"
folder="$(RIVULET_CACHE="$cache" scripts/node-with.sh tests/mcp/node)"
run env NO_PROXY='*' no_proxy='*' "$python" tests/mcp/official.py "$url" "$binary" "$node" "$folder"
python="$(scripts/python-with.sh examples/clients/python/requirements.txt httpx)"
# Node.js 20 has the WebSocket of later ones behind this switch.
run env RIVULET_CACHE="$cache" NODE="scripts/with-node.sh node --experimental-websocket --no-warnings" \
    RIVULET_KNOWLEDGE_MODEL_DIR="$model_dir" "$python" tests/examples/run.py "$binary" "$(dirname "$binary")/examples"
