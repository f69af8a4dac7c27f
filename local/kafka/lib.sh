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

# prepared: the file with the classes of a broker as its JVM keeps them in memory (JEP 350); of these jars and this JVM
prepared() { echo "${KAFKA_LIB%/lib}/$(hash_of "$(command -v java)").jsa"; }

# prepare_start: makes that file, which a broker writes when it ends. A start takes half as long with it, and works without.
prepare_start() {
    local dir
    [ ! -f "$(prepared)" ] || return 0
    dir=$(mktemp -d)
    if KAFKA_JVM="-XX:ArchiveClassesAtExit=$dir/classes" "$KAFKA_DIR/kafka.sh" up --dir "$dir/kafka" --port auto > "$dir/log" 2>&1 &&
        "$KAFKA_DIR/kafka.sh" down --dir "$dir/kafka" >> "$dir/log" 2>&1 && mv "$dir/classes" "$(prepared)"; then
        say "Kafka's start prepared"
    else
        say "Kafka's start could not be prepared: $(tail -n 1 "$dir/log")"
    fi
    rm -rf "$dir"
}

# class_path: CLASS_PATH, the options of a JVM
class_path() {
    CLASS_PATH=(-cp "$KAFKA_LIB/*")
    if [ -f "$(prepared)" ]; then CLASS_PATH+=("-XX:SharedArchiveFile=$(prepared)"); fi
}

# tool CLASS ARGUMENT...: a short-lived JVM, so start-up time is all that counts; it logs errors only
tool() {
    class_path
    java "${CLASS_PATH[@]}" -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=error "$@"
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

# start_broker NAME PROPERTIES: KAFKA_JVM has further options of its JVM
start_broker() {
    class_path
    # shellcheck disable=SC2086 # a list
    start "$1" java "${CLASS_PATH[@]}" "-Xmx${KAFKA_HEAP:-512m}" ${KAFKA_JVM:-} kafka.Kafka "$2"
}

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
