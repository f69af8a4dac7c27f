# Servers of a test's own, in one temporary folder and on free ports, all gone at the end. Sourced after lib.sh.
# shellcheck shell=bash
SERVERS=$(mktemp -d "${TMPDIR:-/tmp}/orch-test.XXXXXX")
trap stop_servers EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start_kafka: ORCH_TEST_KAFKA
start_kafka() {
    local/kafka/kafka.sh up --dir "$SERVERS/kafka" --port auto
    ORCH_TEST_KAFKA=$(cat "$SERVERS/kafka/bootstrap")
    export ORCH_TEST_KAFKA
}

# kafka_restart: the command that takes that broker away for some seconds, for a test that wants to see it go
kafka_restart() {
    local kafka=$ROOT/local/kafka/kafka.sh
    printf '%q down --dir %q --keep && sleep 3 && %q up --dir %q\n' "$kafka" "$SERVERS/kafka" "$kafka" "$SERVERS/kafka"
}

# start_secure_kafka: ORCH_TEST_KAFKA_SECURE, a folder with a folder for each client
start_secure_kafka() {
    local/kafka/secure.sh up --dir "$SERVERS/secure" --port auto
    export ORCH_TEST_KAFKA_SECURE=$SERVERS/secure/clients
}

# start_api: ORCH_TEST_KUBECONFIG
start_api() {
    local/node/build.sh etcd kube-apiserver kube-controller-manager kubectl
    local/node/up.sh --control-plane --dir "$SERVERS/api" --port auto
    export ORCH_TEST_KUBECONFIG=$SERVERS/api/admin.kubeconfig
}

stop_servers() {
    local status=$? kept=$CACHE/failed/${0##*/}
    if [ "$status" != 0 ]; then keep_logs "$kept"; fi
    [ ! -d "$SERVERS/kafka" ] || local/kafka/kafka.sh down --dir "$SERVERS/kafka"
    [ ! -d "$SERVERS/secure" ] || local/kafka/secure.sh down --dir "$SERVERS/secure"
    [ ! -d "$SERVERS/api" ] || local/node/down.sh --control-plane --dir "$SERVERS/api"
    rm -rf "$SERVERS"
    exit "$status"
}

# keep_logs FOLDER: what the servers said
keep_logs() {
    local log
    rm -rf "$1"
    for log in "$SERVERS"/*/log; do
        [ -d "$log" ] || continue
        mkdir -p "$1"
        cp -r "$log" "$1/$(basename "$(dirname "$log")")"
    done
    [ ! -d "$1" ] || echo "the servers' logs are in $1" >&2
}
