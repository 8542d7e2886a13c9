#!/usr/bin/env bash
# A PostgreSQL of its own for tests: on a free port of 127.0.0.1, in a temporary folder, as an ordinary process.
#
# Says on a line of its own when it is ready: the server's process id and its URL, whose user may do anything. Stays while
# standard input is open; each line `start` on it starts the server again, where it was killed. In the end, also when
# whoever started it was killed, server and folder are gone. Arguments are settings of the server: `-c fsync=on`; behind
# `standby URL` the server is a standby of the one at that URL, whose user and databases it has.
set -euo pipefail

fail() {
    printf 'postgres: %s\n' "$1" >&2
    exit 1
}

# Debian has the programs of each version in a folder that is nobody's path.
bin="$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1)"
[ -n "$bin" ] || bin="$(dirname "$(command -v initdb)")" || fail "PostgreSQL is missing: scripts/setup.sh test"

# The server refuses to run as root.
as_user=()
if [ "$(id -u)" -eq 0 ]; then as_user=(setpriv --reuid postgres --regid postgres --clear-groups --); fi

folder="$(mktemp -d)"
server=

finish() {
    trap - EXIT
    if [ -n "$server" ] && kill -QUIT "$server" 2>/dev/null; then wait "$server" || true; fi
    rm -rf "$folder"
}
trap finish EXIT
trap '' INT # Ctrl-C is for whoever started this; then standard input ends.
trap 'exit 1' TERM

primary=
if [ "${1:-}" = standby ]; then primary="$2" && shift 2; fi

port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
password=under-test
printf '%s\n' "$password" >"$folder/password"
mkdir -m 700 "$folder/data"
if [ "$(id -u)" -eq 0 ]; then chown -R postgres: "$folder"; fi
cd / # The server's user need not see where this was started.
if [ -n "$primary" ]; then
    "${as_user[@]}" "$bin/pg_basebackup" --pgdata "$folder/data" --dbname "$primary" --write-recovery-conf \
        --checkpoint fast --no-sync >"$folder/made.log" 2>&1 || { cat "$folder/made.log" >&2; fail "pg_basebackup failed"; }
else
    "${as_user[@]}" "$bin/initdb" --pgdata "$folder/data" --username rivulet --pwfile "$folder/password" \
        --auth scram-sha-256 --encoding UTF8 --locale C --no-sync >"$folder/made.log" 2>&1 ||
        { cat "$folder/made.log" >&2; fail "initdb failed"; }
fi

start() {
    rm -f "$folder/data/postmaster.pid"
    "${as_user[@]}" "$bin/postgres" -D "$folder/data" -p "$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 "$@" >>"$folder/server.log" 2>&1 </dev/null &
    server=$!
    local left=300
    until grep -qs '^ready' "$folder/data/postmaster.pid"; do
        kill -0 "$server" 2>/dev/null && [ "$left" -gt 0 ] || { cat "$folder/server.log" >&2; fail "the server does not start"; }
        left=$((left - 1))
        sleep 0.1
    done
    printf '%s postgres://rivulet:%s@127.0.0.1:%s/postgres\n' "$server" "$password" "$port"
}

start "$@"
while read -r line; do
    [ "$line" = start ] || fail "this is no command: $line"
    wait "$server" 2>/dev/null || true
    start "$@"
done
