#!/usr/bin/env bash
# The system as a whole, by the crate `e2e`:
#   e2e.sh processes   operator and workers as processes, with a broker and an API server of their own
#   e2e.sh cluster     the charts in a cluster that is started for them; none may be up
set -euo pipefail
. "$(dirname "$0")/lib.sh"

processes() {
    . "$ROOT/scripts/servers.sh"
    cargo build --locked -p orch-operator -p orch-workers -p orch-cli
    start_api
    start_kafka
    start_secure_kafka
    ORCH_TEST_BIN=$TARGET/debug cargo test --locked -p orch-e2e --features processes-tests
}

cluster() {
    [ ! -e "$RUN/flavour" ] || die "a cluster is up already: make cluster-down first"
    trap 'local/down.sh' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    local/up.sh
    . "$RUN/env"
    helm install kafka-orchestrator-crds charts/kafka-orchestrator-crds
    helm install kafka-orchestrator charts/kafka-orchestrator --namespace kafka-orchestrator --create-namespace \
        --values "$RUN/values.yaml" --wait --timeout 3m
    cargo test --locked -p orch-e2e --features cluster-tests
}

[ -f e2e/Cargo.toml ] || die "there is no crate e2e"
case ${1:-} in
processes | cluster) "$1" ;;
*) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
