#!/usr/bin/env bash
# Succeeds when the `node` on the path is new enough for the page's build: 20.19, or 22.12 and later.
set -euo pipefail
command -v node >/dev/null || exit 1
node -e 'const [a, b] = process.versions.node.split(".").map(Number);
process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)'
