#!/usr/bin/env bash
# `make cluster-up`: a cluster with our images in it, and Kafka. Safe to repeat: it brings what is missing or changed.
# Writes local/.run/env (KUBECONFIG, PATH, KAFKA) and local/.run/values.yaml (for `helm install -f`).
set -euo pipefail
. "$(dirname "$0")/node/lib.sh"
. "$ROOT/local/settings.sh"

# The host needs `orch`; on kind the other two are built in the engine.
build_programs() {
    local packages="--workspace --bins"
    [ "$1" = node ] || packages="-p orch-cli"
    # shellcheck disable=SC2086 # a list
    (cd "$ROOT" && CARGO_TARGET_DIR=$TARGET cargo build --locked $packages)
    say "programs built"
}

up_node() {
    settings
    "$ROOT/local/kafka/jars.sh" & # a download, while the processors build
    local jars=$!
    "$ROOT/local/node/build.sh"
    build_programs node
    wait "$jars" || die "Kafka's jars could not be fetched"
    "$ROOT/local/node/up.sh"
    "$ROOT/local/kafka/kafka.sh" up
    "$ROOT/local/images.sh"
    ln -sfn "$STATE" "$RUN/node" # logs and sockets, outside the tree because socket paths must be short
    KAFKA=127.0.0.1:${KAFKA_PORT:-9092} PODS_KAFKA=$HOST_IP:${KAFKA_PODS_PORT:-19092}
}

up_kind() {
    build_programs kind
    "$ROOT/local/kind/up.sh"
    KUBECONFIG=$RUN/kubeconfig
    "$ROOT/local/images.sh" --kind
    KAFKA=127.0.0.1:9092 PODS_KAFKA=kafka.kafka.svc.cluster.local:9092
}

write_env() {
    cat > "$RUN/env" << ENV
# Made by local/up.sh; to be sourced.
export KUBECONFIG='$KUBECONFIG'
export KAFKA='$KAFKA'
case :\$PATH: in
*:'$TARGET/debug':*) ;;
*) export PATH='$NODE_CACHE/bin':'$TARGET/debug':"\$PATH" ;;
esac
ENV
}

write_values() {
    cat > "$RUN/values.yaml" << VALUES
# Made by local/up.sh: what the chart must know of this cluster.
image:
  operator: $OPERATOR_IMAGE
  worker: $WORKER_IMAGE
  pullPolicy: IfNotPresent
kafka:
  bootstrapServers: "$PODS_KAFKA"
VALUES
}

FLAVOUR=$(flavour)
"$ROOT/local/requirements.sh" check cluster
mkdir -p "$RUN"
echo "$FLAVOUR" > "$RUN/flavour"
"up_$FLAVOUR"
write_env
write_values
say "the cluster ($FLAVOUR) is up; next:"
echo ". local/.run/env"
