#!/usr/bin/env bash
# `make cluster-down`: stop what local/up.sh started and leave nothing; nothing to stop is fine.
# What took long to make stays in the cache folder (local/README.md).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ "$(cat "$RUN/flavour" 2> /dev/null)" = kind ]; then
    "$ROOT/local/kind/down.sh"
else
    "$ROOT/local/kafka/kafka.sh" down
    "$ROOT/local/kafka/secure.sh" down
    "$ROOT/local/node/down.sh"
    "$ROOT/local/node/down.sh" --control-plane
fi
rm -rf "$RUN"
