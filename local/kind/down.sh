#!/usr/bin/env bash
# Delete the kind cluster, and Kafka with it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
kind delete cluster --name "$KIND_NAME"
