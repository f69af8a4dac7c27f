#!/usr/bin/env bash
# Tests against real servers, which are started for them:
#   it.sh kafka     cargo feature kafka-tests, of every crate that has it
#   it.sh api       cargo feature api-tests
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# tests_with FEATURE: package and test, one pair a line
tests_with() {
    awk -v feature="\"$1\"" '
        /^\[/ { section = $0; test = "" }
        /^name *= */ { gsub(/.*= *"|".*/, ""); if (section == "[package]") package = $0; else test = $0 }
        section == "[[test]]" && /^required-features/ && index($0, feature) { print package, test }
    ' ./*/Cargo.toml
}

# test_with FEATURE: of the whole workspace, so that all tests share one set of features and one build of what they need
test_with() {
    local features tests
    features=$(tests_with "$1" | awk -v feature="$1" '{ print $1 "/" feature }' | sort -u | paste -s -d , -)
    tests=$(tests_with "$1" | awk '{ print "--test " $2 }' | sort -u)
    # They wait more than they work.
    # shellcheck disable=SC2086 # a list
    cargo test --locked --workspace --features "$features" $tests -- --test-threads 4 < /dev/null
}

kafka() {
    start_kafka
    start_secure_kafka
    test_with kafka-tests
    # By itself, because it takes the broker away from everybody.
    ORCH_TEST_KAFKA_RESTART=$(kafka_restart) cargo test --locked --workspace --features orch-bus/outage-tests --test outage
}

api() {
    start_api
    test_with api-tests
}

case ${1:-} in
kafka | api) ;;
*) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
. "$ROOT/scripts/servers.sh"
"$1"
