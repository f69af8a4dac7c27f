#!/usr/bin/env bash
# Give the running node images: import.sh IMAGE.tar...
set -euo pipefail
. "$(dirname "$0")/lib.sh"
settings
alive containerd || die "the node is not up"
for tar in "$@"; do cri image import "$tar" > /dev/null; done
