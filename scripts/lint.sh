#!/usr/bin/env bash
# `make lint`: formatting, clippy for every target, and the shell scripts.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# All of it, whatever the first one finds.
failed=''
check() { "$@" || failed=1; }

shell_scripts() {
    find .ci charts local scripts -type f \( -name '*.sh' -o -path .ci/run \) -not -path 'local/.run/*' -print0 |
        xargs -0 shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR
}

check cargo fmt --check
check cargo clippy --locked --workspace --all-targets -- -D warnings
# Those with `test = false` too, which need servers: --all-targets leaves them out.
check cargo clippy --locked --workspace --test '*' -- -D warnings
# What a newcomer builds first has fewer features, and so its own unused code.
check cargo clippy --locked -p orch-cli --all-targets --no-default-features -- -D warnings
if command -v shellcheck > /dev/null; then check shell_scripts; else echo "shellcheck is not installed: the shell scripts were not checked"; fi
[ -z "$failed" ] || die "\`make fmt\` mends the format; the rest is above"
