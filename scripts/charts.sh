#!/usr/bin/env bash
# `make charts`: builds helm and kubeconform where they are not built yet, and checks the charts.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

"$ROOT/local/node/build.sh" helm kubeconform
exec charts/tests/check.sh
