# The jars, the programs in them, and what a plain and a secured broker have in common. Sourced.
# shellcheck shell=bash
KAFKA_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$KAFKA_DIR/../lib.sh"

KAFKA_LIB=$CACHE/kafka/$(hash_of "$KAFKA_DIR/pom.xml")/lib
PODS_IP=${HOST_IP:-10.244.0.1} # where pods of the one-node cluster find this machine

fetch_jars() {
    [ ! -d "$KAFKA_LIB" ] || return 0
    command -v mvn > /dev/null || die "Maven is missing; local/requirements.sh check kafka says how to get it"
    local part=$KAFKA_LIB.$$ log=$CACHE/kafka/maven.log
    mkdir -p "$part"
    mvn -q -B -f "$KAFKA_DIR/pom.xml" dependency:copy-dependencies -DoutputDirectory="$part" -DincludeScope=runtime > "$log" 2>&1 ||
        die "Maven could not fetch Kafka: $(grep -m 1 ERROR "$log") (log: $log)"
    # Somebody else may have been faster; theirs are the same.
    if [ -d "$KAFKA_LIB" ]; then rm -rf "$part"; else mv "$part" "$KAFKA_LIB"; fi
    say "Kafka's jars fetched"
}

# tool CLASS ARGUMENT...: a short-lived JVM, so start-up time is all that counts; it logs errors only
tool() {
    java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
        -cp "$KAFKA_LIB/*" "$@"
}

# format_storage PROPERTIES DATA CLUSTER_ID OPTION...: once, before the first start
format_storage() {
    local conf=$1 data=$2 id=$3
    shift 3
    [ ! -f "$data/meta.properties" ] || return 0
    tool kafka.tools.StorageTool format -t "$id" -c "$conf" "$@" > "$STATE/log/format.log" 2>&1 ||
        die "could not format $data: $(tail -n 1 "$STATE/log/format.log")"
}

# new_cluster_id: 16 random bytes; not with a dash in front, which would look like an option
new_cluster_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c1-22; }

start_broker() { start "$1" java "-Xmx${KAFKA_HEAP:-512m}" -cp "$KAFKA_LIB/*" kafka.Kafka "$2"; }

# sees_brokers COUNT BOOTSTRAP [CLIENT_PROPERTIES]: "ready" is what a client sees, not an open port
sees_brokers() {
    tool org.apache.kafka.tools.BrokerApiVersionsCommand --bootstrap-server "$2" ${3:+--command-config "$3"} |
        grep -c ' -> ($' | grep -qx "$1"
}

# remove_state: only what we put there, the folder only if nothing else is in it
remove_state() {
    local part
    for part in "$@"; do rm -rf "${STATE:?}/$part"; done
    rmdir "$STATE" 2> /dev/null || true
}
