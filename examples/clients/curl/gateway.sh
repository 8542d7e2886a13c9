# The gateway, and requests to it; the other scripts here begin with this. Needs curl 7.82 and jq.
#
# RIVULET_URL names the gateway, RIVULET_TOKEN is a token or an API key, where one is needed.
url="${RIVULET_URL:-http://127.0.0.1:8080}"
answer="$(mktemp)"
trap 'rm -f "$answer"' EXIT

# The token as a header, by a file: arguments of programs can be seen by others.
authorization() {
    [ -z "${RIVULET_TOKEN:-}" ] || printf 'Authorization: Bearer %s\n' "$RIVULET_TOKEN"
}

# What makes a request safe to repeat.
new_id() {
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}

# Seconds to wait before the next try, with full jitter, so that not all clients come back at once: 1 at most, then 2, 4,
# up to 30.
backoff() {
    awk -v "random=$RANDOM" -v "most=$(($1 < 5 ? 1 << $1 : 30))" 'BEGIN { print most * random / 32768 }'
}

# Makes a request and prints the body of its answer. What the gateway cannot do just now is tried again by curl, after as
# long as `Retry-After` says, and what was lost, here; so what changes something needs an id of its own. Everything else is
# final, and told with the id under which the gateway's log has it.
call() {
    local try failed
    for try in {0..6}; do
        failed=0
        curl --silent --show-error --fail-with-body --output "$answer" --header @<(authorization) \
            --retry 6 --retry-max-time 120 --connect-timeout 10 --max-time 150 "$@" || failed=$?
        case "$failed" in
        0) cat "$answer" && return ;;
        22) jq --raw-output '"\(.status) \(.code): \(.detail) (request \(.request_id))"' "$answer" >&2 && return 1 ;;
        *) sleep "$(backoff "$try")" ;;
        esac
    done
    return 1
}
