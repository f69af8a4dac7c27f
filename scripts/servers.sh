# Servers of a test's own, in one temporary folder and on free ports, all gone at the end. Sourced after lib.sh.
# shellcheck shell=bash
SERVERS=$(mktemp -d "${TMPDIR:-/tmp}/orch-test.XXXXXX")
trap stop_servers EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
quick_kafka

# start_servers NAME...: side by side
start_servers() {
    local name port start starts=()
    port=$(free_ports $((16 * $#))) # as many as the secured ones need, for each
    for name in "$@"; do
        "start_$name" "$port" &
        starts+=($!)
        port=$((port + 16))
    done
    for start in "${starts[@]}"; do wait "$start"; done
    for name in "$@"; do "export_$name"; done
}

start_kafka() { local/kafka/kafka.sh up --dir "$SERVERS/kafka" --port "$1"; }
export_kafka() {
    ORCH_TEST_KAFKA=$(cat "$SERVERS/kafka/bootstrap")
    export ORCH_TEST_KAFKA
}

# A folder with a folder for each client
start_secure_kafka() { local/kafka/secure.sh up --dir "$SERVERS/secure" --port "$1"; }
export_secure_kafka() { export ORCH_TEST_KAFKA_SECURE=$SERVERS/secure/clients; }

start_api() {
    local/node/build.sh etcd kube-apiserver kube-controller-manager kubectl
    local/node/up.sh --control-plane --dir "$SERVERS/api" --port "$1"
}
export_api() { export ORCH_TEST_KUBECONFIG=$SERVERS/api/admin.kubeconfig; }

# start_spare_broker NAME PORT
start_spare_broker() {
    local/kafka/kafka.sh up --dir "$SERVERS/spare/$1" --port "$2"
    # For the next start. A broker that was killed lets nobody in before the session of its former self is over, 9 s by
    # default; but it counts the sessions of its groups from when it has read them. Those of workers are 6 s: all would
    # be over, and the first worker that is back would get the partitions, and repeat the work, of all.
    echo broker.session.timeout.ms=4000 >> "$SERVERS/spare/$1/server.properties"
}

# start_spare_kafka NAME...: brokers for tests that kill them, in folders of their names in ORCH_TEST_SPARE_KAFKA;
# ORCH_TEST_SPARE_KAFKA_START with such a folder behind it starts one again, without waiting for it
start_spare_kafka() {
    local name port start starts=()
    port=$(free_ports $((2 * $#))) # two for each
    for name in "$@"; do
        start_spare_broker "$name" "$port" &
        starts+=($!)
        port=$((port + 2))
    done
    for start in "${starts[@]}"; do wait "$start"; done
    export ORCH_TEST_SPARE_KAFKA=$SERVERS/spare
    ORCH_TEST_SPARE_KAFKA_START=$(printf 'bash -c %q' ". '$ROOT/local/kafka/lib.sh' && STATE=\$0 && start_broker kafka \$0/server.properties")
    export ORCH_TEST_SPARE_KAFKA_START
}

# kafka_restart: the command that takes that broker away for some seconds, for a test that wants to see it go
kafka_restart() {
    local kafka=$ROOT/local/kafka/kafka.sh
    printf '%q down --dir %q --keep && sleep 3 && %q up --dir %q\n' "$kafka" "$SERVERS/kafka" "$kafka" "$SERVERS/kafka"
}

stop_servers() {
    local status=$? kept=$CACHE/failed/${0##*/}
    if [ "$status" != 0 ]; then keep_logs "$kept"; fi
    local broker
    for broker in "$SERVERS/kafka" "$SERVERS"/spare/*; do
        [ ! -d "$broker" ] || local/kafka/kafka.sh down --dir "$broker"
    done
    [ ! -d "$SERVERS/secure" ] || local/kafka/secure.sh down --dir "$SERVERS/secure"
    [ ! -d "$SERVERS/api" ] || local/node/down.sh --control-plane --dir "$SERVERS/api"
    rm -rf "$SERVERS"
    exit "$status"
}

# keep_logs FOLDER: what the servers said
keep_logs() {
    local log
    rm -rf "$1"
    for log in "$SERVERS"/*/log "$SERVERS"/spare/*/log; do
        [ -d "$log" ] || continue
        mkdir -p "$1"
        cp -r "$log" "$1/$(basename "$(dirname "$log")")"
    done
    [ ! -d "$1" ] || echo "the servers' logs are in $1" >&2
}
