#!/usr/bin/env bash
# Adds a document, waits until it is found, and asks a question: document.sh FILE "When does the office open?"
set -euo pipefail
. "$(dirname "$0")/gateway.sh"

# The same key with each try: one document, one version.
added="$(call --header "Idempotency-Key: $(new_id)" --form "file=@$1" "$url/api/v1/documents")"
job="$(jq --raw-output '.job // empty' <<<"$added")"

# Each event has the whole state, so there is no cursor: whoever comes back is told the newest. The stream ends with the
# work. Without a job, the gateway has this very document already.
while [ -n "$job" ]; do
    state="$(curl --silent --no-buffer --max-time 60 --header @<(authorization) "$url/api/v1/jobs/$job/events" |
        sed -un 's/^data: //p' | tee >(jq --raw-output '"\(.state) \(.done)/\(.total)"' >&2) | tail -n 1)"
    case "$(jq --raw-output .state <<<"$state")" in
    done) break ;;
    failed | cancelled) jq --raw-output '.error.code + ": " + .error.message' <<<"$state" >&2 && exit 1 ;;
    *) call "$url/api/v1/jobs/$job" >/dev/null && sleep "$((1 + RANDOM % 3))" ;; # Ends here when nobody may ask any more.
    esac
done

exec "$(dirname "$0")/ask.sh" "$2"
