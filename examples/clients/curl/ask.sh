#!/usr/bin/env bash
# Asks a question and waits for the whole answer: ask.sh "How long can I return a tent?"
set -euo pipefail
. "$(dirname "$0")/gateway.sh"

# The same id with each try: the question is asked, and paid for, once.
question="$(jq --null-input --arg id "$(new_id)" --arg message "$1" '{id: $id, message: $message}')"
call --json "$question" "$url/api/v1/chat" |
    jq --raw-output '.response, "(\(.status))", (.sources[]? | "[\(.n)] \(.title)")'
