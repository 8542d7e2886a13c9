#!/usr/bin/env bash
# Takes the pictures of the documents anew: `scripts/pictures.sh RIVULET_BINARY`. Starts the gateway with the sample
# knowledge, has a browser use it, and writes docs/page.png, docs/phone.png and docs/admin.png.
# RIVULET_KNOWLEDGE_MODEL_DIR names the embedding model.
# The gateway takes a free port, keeps its data in a temporary folder, and is gone when this is over.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

READY_WITHIN_S=90

fail() {
    printf 'pictures: %s\n' "$1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: pictures.sh RIVULET_BINARY"
[ -x "$1" ] || fail "$1 is no program: make build"
binary="$(realpath "$1")"
: "${RIVULET_KNOWLEDGE_MODEL_DIR:?pictures: names the folder of the embedding model; make pictures sets it}"
model_dir="$(realpath "$RIVULET_KNOWLEDGE_MODEL_DIR")"

work="$(mktemp -d)"
gateway=

finish() {
    status=$?
    trap - EXIT
    if [ -n "$gateway" ]; then
        kill -TERM "$gateway" 2>/dev/null || true
        wait "$gateway" || true
    fi
    if [ "$status" -ne 0 ] && [ -e "$work/log" ]; then
        printf 'pictures: the log of the gateway:\n' >&2
        cat "$work/log" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Nothing of what somebody has set up for a gateway of his own is to be seen.
: >"$work/rivulet.toml"
env -i PATH="$PATH" HOME="$work" TMPDIR="$work" NO_COLOR=1 \
    RIVULET_KNOWLEDGE_MODEL_DIR="$model_dir" RIVULET_KNOWLEDGE_PRELOAD=sample-knowledge \
    "$binary" serve --config "$work/rivulet.toml" --bind 127.0.0.1:0 --data-dir "$work/data" >"$work/log" 2>&1 &
gateway=$!

# The address, as soon as the log tells it.
address() {
    sed -n 's|.*listening on \(http://127\.0\.0\.1:[0-9]*\).*|\1|p' "$work/log" | head -n 1
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

RIVULET_URL="$url" RIVULET_BINARY="$binary" scripts/with-node.sh node web-demo/e2e/pictures.mjs docs
