#!/usr/bin/env bash
# `make lint`: formatting, clippy for every target and feature, and the shell scripts.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

cargo fmt --check || die "run \`make fmt\`"
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

if command -v shellcheck > /dev/null; then
    find .ci charts local scripts -type f \( -name '*.sh' -o -path .ci/run \) -not -path 'local/.run/*' -print0 |
        xargs -0 shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR
    echo "shellcheck: nothing found"
else
    echo "shellcheck is not installed: the shell scripts were not checked"
fi
