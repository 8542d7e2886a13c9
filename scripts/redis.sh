#!/usr/bin/env bash
# A Redis of its own for tests, on free ports of 127.0.0.1, in a temporary folder, as ordinary processes:
# `redis.sh [standalone|sentinel|cluster|replicated] [SETTING…]`.
#
#   standalone  one server
#   sentinel    a primary, its replica, and three sentinels that put the replica in its place within some seconds
#   cluster     three primaries without replicas
#   replicated  the same, and a replica of each, in the same order, that takes its place within some seconds
#
# Settings are those of the servers, as their command line has them: `--appendonly yes`. RIVULET_TEST_REDIS names another
# program than redis-server, such as Valkey's.
#
# Says on a line of its own when all is ready: PID@PORT of each process, in the order above, and the URL of it all. Stays
# while standard input is open; a line `start` on it starts the first process again once it was killed, on its port and with
# its folder, `start 1 4` the second and the fifth. In the end, also when whoever started it was killed, processes and folder
# are gone.
set -euo pipefail

mode=standalone
case "${1:-}" in standalone | sentinel | cluster | replicated) mode="$1" && shift ;; esac
settings=("$@")
program="${RIVULET_TEST_REDIS:-redis-server}"
PATH="$PATH:/usr/sbin"

folder="$(mktemp -d)"
pids=()

fail() {
    tail -n 20 "$folder"/*/log >&2 2>/dev/null || true
    printf 'redis: %s\n' "$1" >&2
    exit 1
}

finish() {
    trap - EXIT
    # Of those that live; also those that are stopped.
    local living
    mapfile -t living < <(jobs -pr)
    if [ ${#living[@]} -gt 0 ]; then kill -KILL "${living[@]}" 2>/dev/null || true; fi
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap '' INT # Ctrl-C is for whoever started this; then standard input ends.
trap 'exit 1' TERM
trap : KILL # Never comes here; without it, bash tells of every process that was killed.

for needed in "$program" redis-cli; do
    command -v "$needed" >/dev/null || fail "$needed is missing: scripts/setup.sh test"
done

# Below those that the system gives to whoever asks for any: one that was killed finds its port free again.
free_ports() {
    python3 - "$1" <<'PYTHON'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", random.randrange(20000, 32000)))
        held.append(one)
    except OSError:
        one.close()
print(*(one.getsockname()[1] for one in held))
PYTHON
}

case "$mode" in
standalone) processes=1 needed=1 ;;
sentinel) processes=5 needed=5 ;;
cluster) processes=3 needed=6 ;; # Each speaks to the others on a second one.
replicated) processes=6 needed=12 ;;
esac
read -ra ports < <(free_ports "$needed")

is_sentinel() {
    [ "$mode" = sentinel ] && [ "$1" -ge 2 ]
}

is_cluster() {
    [ "$mode" = cluster ] || [ "$mode" = replicated ]
}

# Servers and sentinels change these files themselves when roles change.
configure() {
    local own="$folder/$1"
    mkdir "$own"
    printf '%s\n' "port ${ports[$1]}" 'bind 127.0.0.1' "dir $own" >"$own/conf"
    if is_sentinel "$1"; then
        printf 'sentinel %s\n' "monitor mymaster 127.0.0.1 ${ports[0]} 2" 'down-after-milliseconds mymaster 1000' \
            'failover-timeout mymaster 3000' >>"$own/conf"
        return
    fi
    printf '%s\n' 'save ""' 'repl-diskless-sync-delay 0' >>"$own/conf"
    if [ "$mode-$1" = sentinel-1 ]; then printf 'replicaof 127.0.0.1 %s\n' "${ports[0]}" >>"$own/conf"; fi
    if is_cluster; then
        printf 'cluster-%s\n' 'enabled yes' "port ${ports[$1 + processes]}" 'config-file nodes' 'node-timeout 2000' >>"$own/conf"
    fi
}

# What a process answers; nothing when it does not within a second.
ask() {
    timeout 1 redis-cli -p "${ports[$1]}" "${@:2}" 2>/dev/null | tr -d '\r' || true
}

answers() {
    [ "$(ask "$1" ping)" = PONG ]
}

# All sentinels say the same and know one another, and the server that they name has its replica.
sentinels_agree() {
    local said port
    said="$(for sentinel in 2 3 4; do ask "$sentinel" info sentinel | grep '^master0:'; done | sort -u)"
    [[ "$said" =~ ^master0:name=mymaster,status=ok,address=127.0.0.1:([0-9]+),slaves=1,sentinels=3$ ]] || return 1
    port="${BASH_REMATCH[1]}"
    [[ "$(timeout 1 redis-cli -p "$port" info replication 2>/dev/null)" == *role:master*state=online* ]]
}

cluster_is_whole() {
    local node
    for ((node = 0; node < processes; node++)); do
        [[ "$(ask "$node" cluster info)" == *cluster_state:ok*cluster_slots_ok:16384*cluster_known_nodes:$processes* ]] ||
            return 1
    done
}

replicates() {
    [ "$(ask "$1" cluster replicate "$2")" = OK ]
}

# Those that answer to be primaries have so many replicas that are up to date.
has_replicas() {
    local node replication primaries=0
    for ((node = 0; node < processes; node++)); do
        replication="$(ask "$node" info replication)"
        case "$replication" in
        *role:master*state=online*) primaries=$((primaries + 1)) ;;
        *role:slave*master_link_status:up*) ;;
        *) return 1 ;;
        esac
    done
    [ "$primaries" -eq 3 ]
}

until_true() {
    local left=300 pid
    until "$@"; do
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || fail "a process has ended"
        done
        [ "$left" -gt 0 ] || fail "in vain: $*"
        left=$((left - 1))
        sleep 0.1
    done
}

start() {
    local arguments=("$folder/$1/conf")
    if is_sentinel "$1"; then arguments+=(--sentinel); else arguments+=("${settings[@]}"); fi
    "$program" "${arguments[@]}" >>"$folder/$1/log" 2>&1 </dev/null &
    pids[$1]=$!
    until_true answers "$1"
    # Otherwise they look around every ten seconds only, ping so seldom that one late answer is a death, and believe nothing
    # for half a minute after they were stopped.
    if is_sentinel "$1"; then
        ask "$1" sentinel debug info-period 500 publish-period 500 ping-period 200 tilt-period 1000 >/dev/null
    fi
}

ready() {
    case "$mode" in
    sentinel) until_true sentinels_agree ;;
    cluster) until_true cluster_is_whole ;;
    replicated)
        until_true cluster_is_whole
        until_true has_replicas
        ;;
    esac
    local at processes_and_ports=() addresses=()
    for at in "${!pids[@]}"; do
        processes_and_ports+=("${pids[$at]}@${ports[$at]}")
        addresses+=("127.0.0.1:${ports[$at]}")
    done
    local IFS=,
    case "$mode" in
    standalone) url="redis://${addresses[0]}" ;;
    sentinel) url="redis+sentinel://${addresses[*]:2}/mymaster" ;;
    cluster | replicated) url="redis+cluster://${addresses[*]}" ;;
    esac
    printf '%s %s\n' "${processes_and_ports[*]}" "$url"
}

for ((at = 0; at < processes; at++)); do
    configure "$at"
    start "$at"
    # Sentinels find the replica at their first look at the primary.
    if [ "$mode-$at" = sentinel-1 ]; then
        has_replica() { [[ "$(ask 0 info replication)" == *state=online* ]]; }
        until_true has_replica
    fi
done
if is_cluster; then
    for ((at = 0; at < processes; at++)); do
        ask "$at" cluster set-config-epoch $((at + 1)) >/dev/null
        if [ "$at" -lt 3 ]; then
            ask "$at" cluster addslotsrange $((16384 * at / 3)) $((16384 * (at + 1) / 3 - 1)) >/dev/null
        fi
        ask 0 cluster meet 127.0.0.1 "${ports[$at]}" "${ports[$at + processes]}" >/dev/null
    done
    for ((at = 3; at < processes; at++)); do
        until_true replicates "$at" "$(ask $((at - 3)) cluster myid)"
    done
fi
ready

while read -r order numbers; do
    [ "$order" = start ] || fail "this is no order: $order"
    for at in ${numbers:-0}; do
        wait "${pids[$at]}" 2>/dev/null || true
        unset "pids[$at]"
    done
    for at in ${numbers:-0}; do start "$at"; done
    ready
done
