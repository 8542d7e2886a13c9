#!/usr/bin/env bash
# Takes back the token of RIVULET_TOKEN. From then on it opens nothing, and what it had opened is closed within a second.
set -euo pipefail
. "$(dirname "$0")/gateway.sh"

call --request POST "$url/api/v1/auth/revoke"
