#!/usr/bin/env bash
# Fetch Kafka's jars into the cache and prepare the start of a broker: something to run in the background of a build.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
fetch_jars
prepare_start
