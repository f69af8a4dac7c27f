#!/usr/bin/env bash
# How fast runs are through an operator and a worker of their own, beside a level replay: a ratio, in one run on one
# broker. Release builds. GRAPHS=FOLDER takes edge lists (NAME.tsv.gz, `parent<TAB>child`) in place of a made graph.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export KAFKA_JVM='' # a broker as people have it
. "$ROOT/scripts/servers.sh"
# The part of a level replay that each graph must reach: of one with 135,000 objects/s, 10,000.
export ORCH_SPEED_FLOOR=${ORCH_SPEED_FLOOR:-0.074}
export ORCH_SPEED_WARM=${ORCH_SPEED_WARM:-40}

cargo build --release --locked --workspace --bins --test speed
start_servers api kafka
cargo test --release --locked --workspace --test speed -- --nocapture
