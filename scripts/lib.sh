# What the scripts here share. Sourced; afterwards the working folder is the root of the tree.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../local/node/lib.sh" # ROOT, CACHE, TARGET, RUN, say, die; the cluster's programs on PATH
export CARGO_TARGET_DIR=$TARGET
cd "$ROOT" || exit

# quick_kafka: brokers that start quickly and are gone before they would have become fast
quick_kafka() { export KAFKA_JVM=${KAFKA_JVM--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}; }

# rust_version: what Cargo.toml asks for
rust_version() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

# at_least WANTED VERSION: by major and minor number
at_least() {
    awk -v want="$1" -v have="$2" 'BEGIN { split(want, w, "."); split(have, h, "."); exit !(h[1] > w[1] || h[1] == w[1] && h[2] + 0 >= w[2] + 0) }'
}
