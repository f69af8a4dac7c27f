# Where things lie, and how a daemon is started, watched and stopped. Sourced by every script here.
# A script that starts daemons sets STATE first: the folder with run/ (pids) and log/.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${ORCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kafka-orchestrator} # survives `make cluster-down`
RUN=$ROOT/local/.run                                                    # what the running cluster is
TARGET=${CARGO_TARGET_DIR:-$CACHE/target}                               # cargo's

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

sha256() { if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi; }

# hash_of FILE...: a short name for exactly these contents
hash_of() { cat "$@" | sha256 | cut -c1-12; }

# private_dir DIR: made by us, or refused. Under a world-writable folder somebody else could have been first.
private_dir() {
    [ -d "$1" ] || (umask 066 && mkdir -p "$1")
    if [ -L "$1" ] || [ ! -O "$1" ]; then die "$1 belongs to somebody else; set another folder"; fi
}

# --- ports

answers() { (exec 3<> "/dev/tcp/$1/$2") 2> /dev/null; }

# has_address IP: this machine has it; never try a connection that could leave the machine
has_address() { [ "$1" = 127.0.0.1 ] || ip -o -4 addr show 2> /dev/null | grep -qF " $1/"; }

# free_ports COUNT: the first of COUNT adjacent ports that nobody listens on, below the range that the kernel gives out
free_ports() {
    local base p try
    for try in $(seq 50); do
        base=$((20000 + (RANDOM * 7 + try) % 10000))
        for p in $(seq "$base" $((base + $1 - 1))); do
            if answers 127.0.0.1 "$p"; then continue 2; fi
        done
        echo "$base"
        return
    done
    die "no $1 adjacent free ports between 20000 and 30000"
}

# need_port WHAT ADDRESS PORT [VARIABLE]: say who holds the port, before a daemon says it in its log
need_port() {
    local addr
    for addr in "$2" 127.0.0.1; do
        if ! has_address "$addr" || ! answers "$addr" "$3"; then continue; fi
        die "port $3 on $addr, needed for $1, is taken${4:+ (choose another by $4)}: $(port_holder "$3")"
    done
}

port_holder() {
    local line=
    if command -v ss > /dev/null; then line=$(ss -ltnpH "sport = :$1" | head -n 1); fi
    echo "${line:-holder unknown}"
}

# --- daemons

command_of() {
    if [ -d /proc/self ]; then tr '\0' ' ' < "/proc/$1/cmdline"; else ps -o command= -p "$1"; fi 2> /dev/null
}

# alive NAME: a pid that we wrote and whose command still names STATE; never some later process with the same number.
# (The command is empty for a zombie: a slow init must not make `stop` wait.)
alive() {
    local pid
    pid=$(cat "$STATE/run/$1.pid" 2> /dev/null) || return 1
    [ -n "$pid" ] && command_of "$pid" 2> /dev/null | grep -qF "$STATE/"
}

# start NAME COMMAND...: detached; log/NAME.log, run/NAME.pid
start() {
    local name=$1
    shift
    if alive "$name"; then return; fi
    mkdir -p "$STATE/run" "$STATE/log"
    detached "$@" >> "$STATE/log/$name.log" 2>&1 < /dev/null &
    echo $! > "$STATE/run/$name.pid"
}

# Ctrl-C in the terminal must not end the cluster.
detached() { if command -v setsid > /dev/null; then exec setsid "$@"; else trap '' INT HUP && exec "$@"; fi; }

# stop NAME...: TERM to all, KILL to what is left after 10 s
stop() {
    local name i
    for name in "$@"; do if alive "$name"; then kill "$(cat "$STATE/run/$name.pid")" 2> /dev/null || true; fi; done
    for name in "$@"; do
        for i in $(seq 200); do
            alive "$name" || break
            sleep 0.05
        done
        if alive "$name"; then kill -9 "$(cat "$STATE/run/$name.pid")" 2> /dev/null || true; fi
        rm -f "$STATE/run/$name.pid"
    done
}

# await NAME SECONDS WHAT COMMAND...: until COMMAND succeeds; gives up at the limit, or as soon as daemon NAME is dead
await() {
    local name=$1 limit=$2 what=$3 end=$((SECONDS + $2))
    shift 3
    until "$@" > /dev/null 2>&1; do
        alive "$name" || give_up "$name" "$name ended while waiting for: $what"
        [ "$SECONDS" -lt "$end" ] || give_up "$name" "waited $limit s for: $what"
        sleep 0.1
    done
    say "$what"
}

give_up() {
    tail -n 8 "$STATE/log/$1.log" >&2 || true
    die "$2 (log: $STATE/log/$1.log)"
}
