#!/usr/bin/env bash
# Asks a question and prints the answer as it is written: stream.sh "How long can I return a tent?"
#
# curl speaks no WebSocket, so this reads the server-sent events. When the connection breaks, it comes back with the
# cursor, and goes on exactly there. Ctrl-C stops the answer.
set -euo pipefail
. "$(dirname "$0")/gateway.sh"

session="$(call --json '{}' "$url/api/v1/sessions" | jq --raw-output .session_id)"
question="$(jq --null-input --arg id "$(new_id)" --arg text "$1" '{id: $id, text: $text}')"
run="$(call --json "$question" "$url/api/v1/sessions/$session/messages" | jq --raw-output .run)"

head="$(mktemp)"
trap 'rm -f "$answer" "$head"' EXIT
text="" cursor="" status=""

# Prints what is new in the whole text so far.
show() {
    printf '%s' "${1#"$text"}"
    text="$1"
}

# A text out of a frame. The dot keeps line breaks at its end, which bash would take away.
text_of() {
    jq --join-output --arg run "$run" "$1 + \".\"" <<<"$2"
}

# Takes one frame. The deltas of a stream join without gaps, so there is no need to look at offsets.
take() {
    local piece
    case "$(jq --raw-output --arg run "$run" 'select(.run == $run or .type == "snapshot").type' <<<"$1")" in
    delta)
        piece="$(text_of .text "$1")"
        show "$text${piece%.}"
        ;;
    snapshot) # Everything so far, at first, and when the cursor was good no more.
        piece="$(text_of '((.runs + .messages) | map(select(.run == $run and .role != "user").text)[0] // "")' "$1")"
        show "${piece%.}"
        status="$(jq --raw-output --arg run "$run" '.messages[] | select(.run == $run and .role != "user").status' <<<"$1")"
        ;;
    failover) # Another model goes on, and a part of the text is withdrawn: take all of it anew.
        printf '\n(once more)\n'
        text="" cursor=""
        return 1
        ;;
    run.done)
        status="$(jq --raw-output .status <<<"$1")"
        [ "$(printf %s "$text" | gzip --stdout | tail -c 8 | od -An -N4 -tx4 | tr -d ' ')" = \
            "$(jq --raw-output .crc32 <<<"$1")" ] || { printf '\nthe text is not what was written\n' >&2 && exit 1; }
        ;;
    esac
}

# Reads events until the answer is over or the connection is. A comment comes every 15 seconds: 40 are too many.
read_events() {
    local line id="" data="" resume=()
    [ -z "$cursor" ] || resume=(--header "Last-Event-ID: $cursor")
    while IFS= read -r line; do
        case "$line" in
        id:*) id="${line#id: }" ;;
        data:*) data="${line#data: }" ;;
        "") # Only a whole event moves the cursor.
            take "$data" || return 0
            cursor="${id:-$cursor}" id="" data=""
            [ -z "$status" ] || return 0
            ;;
        esac
    done < <(curl --silent --no-buffer --fail --connect-timeout 10 --speed-limit 1 --speed-time 40 \
        --dump-header "$head" --header @<(authorization) "${resume[@]}" "$url/api/v1/sessions/$session/events")
}

# Follows the answer to its end, over as many connections as it takes. Ctrl-C is not for what it starts.
follow() {
    trap '' INT
    local tries=0
    while read_events && [ -z "$status" ]; do
        case "$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' "$head")" in
        401 | 403 | 404) printf '\nnot any more: %s\n' "$(head -n 1 "$head")" >&2 && exit 1 ;;
        esac
        sleep "$(backoff "$tries")"
        tries=$((tries + 1))
        : >"$head"
    done
    printf '\n(%s)\n' "$status"
}

# In the background, so that Ctrl-C is heard here at once.
follow &
following="$!"
trap 'call --request POST "$url/api/v1/sessions/$session/runs/$run/stop" >/dev/null || true' INT
until wait "$following"; do
    kill -0 "$following" 2>/dev/null || exit 1
done
