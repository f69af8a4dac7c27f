#!/usr/bin/env bash
# The system as a whole, by the crate `e2e`:
#   e2e.sh processes   operator and workers as processes, with brokers and an API server of their own; then with kills
#   e2e.sh scale       the same with large runs and many of them, and builds that are optimised; sizes by SCALE_ variables
#   e2e.sh cluster     the charts in a cluster that is started for them; none may be up
set -euo pipefail
. "$(dirname "$0")/lib.sh"

processes() {
    . "$ROOT/scripts/servers.sh"
    # The whole workspace everywhere: one set of features, one build of everything below.
    cargo build --locked --workspace --bins --test processes --test scale --test faults
    start_servers api kafka secure_kafka
    local without=()
    if python3 -m pip --version > /dev/null 2>&1; then
        python_packages
    else
        [ -z "${CI:-}" ] || die "Python 3 with pip is missing: install python3-pip"
        echo "skipped: the Python worker (there is no pip: install python3-pip)"
        without=(--skip external::)
    fi
    export ORCH_BIN_DIR=$TARGET/debug
    # They wait more than they work.
    cargo test --locked --workspace --test processes -- --test-threads 8 "${without[@]}"
    # By itself: it is a measure. Whether it works: times say nothing here.
    "$ORCH_BIN_DIR/orch-bench" --quick --rounds 1 --warm 0 --out "$SERVERS/bench" --kafka "$ORCH_TEST_KAFKA" \
        --kafka-dir "$SERVERS/kafka" --api-dir "$SERVERS/api"
    cargo test --locked --workspace --test scale -- --nocapture --test-threads 1
    start_spare_kafka twenty minute moved gone paused
    cargo test --locked --workspace --test faults -- --nocapture --test-threads 5
}

scale() {
    export KAFKA_JVM='' # a broker as people have it
    . "$ROOT/scripts/servers.sh"
    cargo build --locked --workspace --release --bins
    cargo build --locked --workspace --test scale
    start_servers api kafka
    export ORCH_BIN_DIR=$TARGET/release
    export SCALE_OBJECTS=${SCALE_OBJECTS:-100000} SCALE_RUNS=${SCALE_RUNS:-200} SCALE_LARGE=${SCALE_LARGE:-20}
    export SCALE_RECOVERY_OBJECTS=${SCALE_RECOVERY_OBJECTS:-200000} SCALE_RECOVERED_MS=${SCALE_RECOVERED_MS:-5000}
    export SCALE_BYTES_PER_SECOND=${SCALE_BYTES_PER_SECOND:-512000} # the default of the chart
    export SCALE_GET_MS=${SCALE_GET_MS:-1000}
    export SCALE_REST_SECONDS=${SCALE_REST_SECONDS:-60} SCALE_LIMIT_SECONDS=${SCALE_LIMIT_SECONDS:-1800}
    cargo test --locked --workspace --test scale -- --nocapture --test-threads 1 "$@"
}

# python_packages: what the worker of examples/external-worker imports, in a folder of its own: ORCH_TEST_PYTHONPATH
python_packages() {
    local list=examples/external-worker/requirements.txt folder
    folder=$CACHE/python/$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(sha256sum "$list" | cut -c1-12)
    if [ ! -d "$folder" ]; then
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$folder.new" -r "$list"
        mv "$folder.new" "$folder"
    fi
    export ORCH_TEST_PYTHONPATH=$folder
}

cluster() {
    [ ! -e "$RUN/flavour" ] || die "a cluster is up already: make cluster-down first"
    trap 'local/down.sh' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    quick_kafka
    local/up.sh
    . "$RUN/env"
    helm install kafka-orchestrator-crds charts/kafka-orchestrator-crds
    helm install kafka-orchestrator charts/kafka-orchestrator --namespace kafka-orchestrator --create-namespace \
        --values "$RUN/values.yaml" --wait --timeout 3m
    cargo test --locked --workspace --test cluster -- --nocapture
}

[ -f e2e/Cargo.toml ] || die "there is no crate e2e"
case ${1:-} in
processes | scale | cluster) "$@" ;;
*) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
