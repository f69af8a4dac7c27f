# What up, down and images agree on. Sourced.
# shellcheck shell=bash
OPERATOR_IMAGE=localhost/kafka-orchestrator/operator:dev
WORKER_IMAGE=localhost/kafka-orchestrator/worker:dev
KIND_NAME=kafka-orchestrator # also in kind-config.yaml

# engine: the container engine that answers, or nothing
engine() {
    local name
    for name in docker podman; do
        if command -v "$name" > /dev/null && "$name" info > /dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}

# flavour: kind where an engine answers, else a real node. ORCH_CLUSTER=kind|node decides otherwise.
# A cluster that is up stays what it is, also when an engine comes or goes.
flavour() {
    local up
    up=$(cat "$RUN/flavour" 2> /dev/null || true)
    if [ -n "$up" ]; then
        [ "${ORCH_CLUSTER:-$up}" = "$up" ] || die "the cluster that is up is of the other flavour ($up); first: make cluster-down"
        echo "$up"
    elif [ -n "${ORCH_CLUSTER:-}" ]; then
        echo "$ORCH_CLUSTER"
    elif [ -n "$(engine)" ]; then
        echo kind
    else
        echo node
    fi
}
