#!/usr/bin/env bash
# `make chaos`: runs go on while their operators, workers, broker and API server fail, as docs/chaos.md says. It prints
# its seed, what happened, what the history says, and a table of the faults.
#   SEED=n          the same faults in the same order; what a machine makes of them is its own
#   OBJECTS=100000  of all runs            FAULTS=100   how many
#   KINDS="..."     only these faults      RECOVERED_WITHIN=30   seconds after which a fault counts as not recovered
#   chaos.sh short  few objects, and those faults that are quick: what CI does. Its machine may be slow.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
if [ "${1:-}" = short ]; then
    export SEED=${SEED:-1} OBJECTS=${OBJECTS:-3000} FAULTS=${FAULTS:-14} RECOVERED_WITHIN=${RECOVERED_WITHIN:-120}
    export KINDS=${KINDS:-broker-killed leader-killed operators-killed worker-killed worker-lost workers-killed api-killed \
etcd-killed acks-dropped links-cut garbage duplicates stale foreign}
fi
# Before etcd is started, whose setting it is: small enough to be filled.
export ETCD_QUOTA_BACKEND_BYTES=${ETCD_QUOTA_BACKEND_BYTES:-$((${OBJECTS:-100000} > 20000 ? 134217728 : 50331648))}
. "$ROOT/scripts/servers.sh"
cargo build --locked --workspace --bins --test chaos
start_servers api
start_spare_kafka chaos
ORCH_CHAOS_PORTS=$(free_ports 8)
ORCH_TEST_API_DIR=$SERVERS/api
ORCH_TEST_API_START=$(printf '%q --control-plane --dir %q' "$ROOT/local/node/up.sh" "$SERVERS/api")
export ORCH_CHAOS_PORTS ORCH_TEST_API_DIR ORCH_TEST_API_START ORCH_BIN_DIR=$TARGET/debug
# What fails leaves its logs and records where `stop_servers` looks for them.
mkdir -p "$SERVERS/chaos/log"
export TMPDIR=$SERVERS/chaos/log
cargo test --locked --workspace --test chaos -- --nocapture
