#!/usr/bin/env bash
# The system as a whole, by the crate `e2e`:
#   e2e.sh processes   operator and workers as processes, with brokers and an API server of their own; then with kills
#   e2e.sh cluster     the charts in a cluster that is started for them; none may be up
set -euo pipefail
. "$(dirname "$0")/lib.sh"

processes() {
    . "$ROOT/scripts/servers.sh"
    cargo build --locked --workspace --bins # the whole workspace everywhere: one set of features, one build of everything below
    start_api
    start_kafka
    start_secure_kafka
    export ORCH_BIN_DIR=$TARGET/debug
    local features=orch-e2e/processes-tests,orch-e2e/faults-tests # one build of both
    # They wait more than they work.
    cargo test --locked --workspace --features $features --test processes -- --test-threads 5
    start_spare_kafka twenty minute
    cargo test --locked --workspace --features $features --test faults -- --nocapture
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
    cargo test --locked --workspace --features orch-e2e/cluster-tests --test cluster -- --nocapture
}

[ -f e2e/Cargo.toml ] || die "there is no crate e2e"
case ${1:-} in
processes | cluster) "$1" ;;
*) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
