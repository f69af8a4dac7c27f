#!/usr/bin/env bash
# How fast runs are, beside what the broker alone allows, on servers of its own: bench/README.md.
#   GRAPHS=DIR   edge lists NAME.tsv.gz in place of the generated graphs     ROUNDS=5   how often
#   WARM=45      seconds of work before anything is measured                 OUT=DIR    for bench.json and bench.svg
#   QUICK=1      one small graph, builds that are not optimised: does it work?
#   ROWS=operator    only these of engine, operator and local, and nothing but rows
#   KAFKA=HOST:PORT   a broker that is there already: its topics of this program are gone afterwards
set -euo pipefail
. "$(dirname "$0")/lib.sh"
profile=release
if [ -n "${QUICK:-}" ]; then profile=debug; else export KAFKA_JVM=''; fi # a broker as people have it
. "$ROOT/scripts/servers.sh"

# kafka_version: of the broker that is started here
kafka_version() { (. local/kafka/lib.sh && basename "$KAFKA_LIB"/kafka_*.jar .jar | sed 's/.*-//'); }

build=(cargo build --locked --workspace --bins)
if [ "$profile" = release ]; then build+=(--release); fi
"${build[@]}"
options=(--out "${OUT:-$TARGET/bench}" --rounds "${ROUNDS:-5}" --warm "${WARM:-45}")
options+=(--revision "$(git describe --always --dirty 2> /dev/null || echo unknown)")
if [ -n "${GRAPHS:-}" ]; then options+=(--graphs "$GRAPHS"); fi
if [ -n "${ROWS:-}" ]; then options+=(--rows "$ROWS"); fi
if [ -n "${QUICK:-}" ]; then options+=(--quick); fi
if [ -n "${KAFKA:-}" ]; then
    start_servers api
    options+=(--kafka "$KAFKA")
else
    start_servers api kafka
    options+=(--kafka "$ORCH_TEST_KAFKA" --kafka-dir "$SERVERS/kafka" --kafka-version "$(kafka_version)")
fi
export ORCH_BIN_DIR=$TARGET/$profile
"$ORCH_BIN_DIR/orch-bench" "${options[@]}" --api-dir "$SERVERS/api"
