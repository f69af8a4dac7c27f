#!/usr/bin/env bash
# How fast runs are through an operator and a worker of their own, beside a level replay: a ratio, in one run on one
# broker. Release builds. GRAPHS=FOLDER takes edge lists (NAME.tsv.gz, `parent<TAB>child`) in place of a made graph.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$ROOT/scripts/servers.sh"
# Objects/s that each graph must reach.
export ORCH_SPEED_FLOOR=${ORCH_SPEED_FLOOR:-10000}
export ORCH_SPEED_WARM=${ORCH_SPEED_WARM:-40}

features=(--features orch-e2e/processes-tests)
cargo build --release --locked --workspace "${features[@]}" --bins
cargo test --release --locked --workspace "${features[@]}" --test speed --no-run
start_api
start_kafka
cargo test --release --locked --workspace "${features[@]}" --test speed -- --nocapture
