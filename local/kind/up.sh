#!/usr/bin/env bash
# Start the kind cluster with its Kafka, or what of it is missing. Needs docker or podman; kubectl, helm and kind are built
# from Go modules where they are not installed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

install_tools() {
    local name
    for name in kubectl helm kind; do
        command -v "$name" > /dev/null || "$ROOT/local/node/build.sh" "$name"
    done
}

create() {
    if kind get clusters 2> /dev/null | grep -qx "$KIND_NAME"; then
        kind export kubeconfig --name "$KIND_NAME"
        return
    fi
    need_port "Kafka in kind" 127.0.0.1 9092
    # Relative to the tree; the limit holds for the pull of the node's image too.
    (cd "$ROOT" && kind create cluster --config kind-config.yaml --wait 300s)
}

start_kafka() {
    kubectl apply -f "$ROOT/local/kind/kafka.yaml"
    kubectl -n kafka rollout status statefulset/kafka --timeout=300s ||
        die "Kafka did not become ready in 300 s; see: kubectl -n kafka describe pod kafka-0; kubectl -n kafka logs kafka-0"
}

mkdir -p "$RUN"
install_tools
create
start_kafka
