#!/usr/bin/env bash
# Tests against real servers, which are started for them:
#   it.sh kafka     one broker, and two secured ones
#   it.sh api       an API server
set -euo pipefail
. "$(dirname "$0")/lib.sh"

kafka() {
    cargo build --locked --workspace --test kafka --test broker --test outage
    start_servers kafka secure_kafka
    # They wait more than they work.
    cargo test --locked --workspace --test kafka --test broker -- --test-threads 8 < /dev/null
    # By itself, because it takes the broker away from everybody.
    ORCH_TEST_KAFKA_RESTART=$(kafka_restart) cargo test --locked --workspace --test outage
}

api() {
    start_servers api
    cargo test --locked --workspace --test api_server -- --test-threads 4 < /dev/null
}

case ${1:-} in
kafka | api) ;;
*) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
. "$ROOT/scripts/servers.sh"
"$1"
