#!/usr/bin/env bash
# Puts on this machine what is missing: `scripts/setup.sh run` for building and running, `… test` for the tests too,
# `… flood` for `make flood`.
#
# System packages come from Debian's package manager, model files and (where Node.js is missing or old) Node.js from
# the Python package index, each pinned by version and SHA-256, promtool out of Debian's package of Prometheus. Rust is
# the one thing that must be there before.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${RIVULET_CACHE:-$HOME/.cache/rivulet}"
for_what="${1:-run}"

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

# Before anything is installed: without Rust the rest is of no use.
command -v cargo >/dev/null ||
    fail "Rust is missing: install rustup (https://rustup.rs), open a new shell, then run this again"
minor="$(rustc --version | sed -E 's/^rustc 1\.([0-9]+)\..*/\1/')"
[ "$minor" -ge 94 ] || fail "Rust 1.94 or newer is needed, this is $(rustc --version): run 'rustup update stable'"
if [ "$for_what" = test ]; then
    # rustup's minimal profile has neither.
    { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1 ||
        fail "rustfmt or clippy is missing: run 'rustup component add rustfmt clippy'"
fi

# Servers stand in /usr/sbin, which is not everybody's path.
PATH="$PATH:/usr/sbin:/sbin"

has() {
    command -v "$1" >/dev/null
}

# The browser of the tests; web-demo/e2e/browser.mjs looks for the same names.
has_browser() {
    if [ -n "${CHROMIUM:-}" ]; then
        [ -x "$CHROMIUM" ] || fail "CHROMIUM names $CHROMIUM, which is no program"
        return
    fi
    has chromium || has chromium-browser || has google-chrome
}

# Servers that the tests start. Each has a package and a service of its name; the proxies are those of deploy/proxies.
proxies=(nginx haproxy caddy)
servers=("${proxies[@]}" postgresql redis-server)

# command → Debian package that has it
wanted=(protoc:protobuf-compiler cc:build-essential c++:build-essential git:git python3:python3)
if [ "$for_what" = test ]; then
    # redis-server is Sentinel, too.
    wanted+=(curl:curl jq:jq strace:strace openssl:openssl redis-server:redis-server redis-cli:redis-tools)
    for proxy in "${proxies[@]}"; do
        wanted+=("$proxy:$proxy")
    done
fi
if [ "$for_what" = flood ]; then wanted+=(openssl:openssl slowhttptest:slowhttptest); fi

missing=()
for pair in "${wanted[@]}"; do
    has "${pair%%:*}" || missing+=("${pair##*:}")
done
# The definitions that protoc's users import come with the compiler's development files.
[ -e /usr/include/google/protobuf/empty.proto ] || missing+=(libprotobuf-dev)
has python3 && python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ "$for_what" != run ]; then
    has python3 && python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
fi
if [ "$for_what" = test ]; then
    # Its programs are where scripts/postgres.sh looks for them, and in nobody's path.
    has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
    has_browser || missing+=(chromium)
fi
# Every download checks certificates. Other systems keep them elsewhere, and have no apt-get.
if has apt-get && [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then
    missing+=(ca-certificates)
fi

# Whether apt-get could install a package at all.
available() {
    [[ "$(LC_ALL=C apt-cache policy "$1")" == *"Candidate: "[!\(]* ]]
}

as_root=()

install_packages() {
    local command="apt-get install --no-install-recommends $*"
    has apt-get || fail "please install these packages of Debian, or what your system has in their place: $*"
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "packages are missing, and there is no sudo here: run '$command' as root, then this again"
        as_root=(sudo)
    fi
    printf 'setup: installing %s\n' "$*"
    "${as_root[@]}" apt-get update -qq
    if [[ " $* " == *" chromium "* ]] && ! available chromium; then
        fail "no package 'chromium' here: install Chromium or Google Chrome yourself, or name one with CHROMIUM=…"
    fi
    forbid_services
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    allow_services
    local server
    for server in "${servers[@]}"; do
        if [[ " $* " == *" $server "* ]] && has systemctl; then
            "${as_root[@]}" systemctl --quiet disable "$server" 2>/dev/null ||
                fail "$server was installed for the tests, and would start with the machine: systemctl disable $server"
        fi
    done
}

# Debian starts a server with its package, and again with the machine. The tests start their own, as ordinary processes,
# and nothing else is to listen. This file is how Debian is told so; 101 means "not allowed".
policy=/usr/sbin/policy-rc.d
wrote_policy=

forbid_services() {
    [ ! -e "$policy" ] || return 0
    trap allow_services EXIT
    wrote_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
}

allow_services() {
    [ -n "$wrote_policy" ] || return 0
    "${as_root[@]}" rm -f "$policy"
    wrote_policy=
}

if [ ${#missing[@]} -gt 0 ]; then
    install_packages "${missing[@]}"
fi

models=()
if [ "$for_what" = test ]; then models=(multilingual); fi
"$here/fetch-models.sh" "$cache/deps" "${models[@]}"
"$here/fetch-node.sh" "$cache/deps"
if [ "$for_what" = test ]; then "$here/fetch-promtool.sh" "$cache/deps"; fi
