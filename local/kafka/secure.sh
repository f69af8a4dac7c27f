#!/usr/bin/env bash
# Two Kafka brokers with TLS, SCRAM, client certificates and access rules:
#   secure.sh up   [--dir DIR] [--port FIRST|auto] [--address IP]
#   secure.sh down [--dir DIR]
# Clients and pods use the same address: that of the pods' bridge if it exists, else loopback. 16 ports from FIRST (29090).
# `up` leaves a folder for each client, with the files that a connection Secret has (client.properties, ca.crt, tls.crt, tls.key):
#   DIR/clients/admin              SCRAM, may do everything
#   DIR/clients/orchestrator[-tls] SCRAM or certificate, everything on topics and groups that begin with `orchestrator.`
#   DIR/clients/stranger[-tls]     known, and may do nothing
#   DIR/clients/expired-tls        a certificate of yesterday; DIR/certs/other-ca.crt is the wrong authority
# `up` brings back a broker that was killed (DIR/run/broker1.pid, broker2.pid).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$KAFKA_DIR/certs.sh"

options() {
    STATE=$RUN/kafka-secure PORT='' ADDRESS=127.0.0.1
    if has_address "$PODS_IP"; then ADDRESS=$PODS_IP; fi
    while [ $# -gt 0 ]; do
        case $1 in
        --dir) mkdir -p "${2:?a folder}" && STATE=$(cd "$2" && pwd) && shift ;;
        --port) PORT=${2:?a port, or auto} && shift ;;
        --address) ADDRESS=${2:?an address of this machine} && shift ;;
        *) die "unknown option $1" ;;
        esac
        shift
    done
    # What it was first made with stays: certificates and clients name it.
    if [ -f "$STATE/made" ]; then read -r ADDRESS PORT CLUSTER < "$STATE/made"; fi
}

up() {
    fetch_jars
    mkdir -p "$STATE/run" "$STATE/log"
    make
    # shellcheck disable=SC2046 # a list of options
    if ! alive broker1; then run_broker 1 --standalone $(scram_users); fi
    if ! alive broker2; then run_broker 2 --no-initial-controllers; fi
    await broker2 120 "two brokers seen at $ADDRESS:$(port 1 scram)" \
        sees_brokers 2 "$ADDRESS:$(port 1 scram)" "$STATE/java/admin.properties"
    allow_orchestrator
    echo "$STATE/clients"
}

# Everything that is made once
make() {
    [ ! -f "$STATE/made" ] || return 0
    local n
    [ "${PORT:=29090}" != auto ] || PORT=$(free_ports 16)
    for n in $(seq "$PORT" $((PORT + 15))); do need_port "the secured Kafka" "$ADDRESS" "$n"; done
    CLUSTER=$(new_cluster_id)
    make_certs "$STATE/certs" "$ADDRESS"
    for n in admin orchestrator stranger; do scram_client "$n" "$(openssl rand -hex 16)"; done
    for n in orchestrator stranger expired; do tls_client "$n"; done
    echo "$ADDRESS $PORT $CLUSTER" > "$STATE/made"
}

# port BROKER LISTENER
port() {
    local offset
    case $2 in scram) offset=2 ;; controller) offset=3 ;; internal) offset=4 ;; mtls) offset=5 ;; esac
    echo $((PORT + 10 * ($1 - 1) + offset))
}

# --- brokers

# run_broker N FORMAT_OPTION...
run_broker() {
    local n=$1
    shift
    properties "$n" > "$STATE/broker$n.properties"
    format_storage "$STATE/broker$n.properties" "$STATE/data$n" "$CLUSTER" "$@"
    start_broker "broker$n" "$STATE/broker$n.properties"
}

# Broker 1 is the controller too; killing it is not the same test as killing broker 2.
properties() {
    local roles=broker listeners
    listeners="SCRAM://$ADDRESS:$(port "$1" scram),MTLS://$ADDRESS:$(port "$1" mtls),INTERNAL://127.0.0.1:$(port "$1" internal)"
    if [ "$1" = 1 ]; then
        roles=broker,controller
        listeners="$listeners,CONTROLLER://127.0.0.1:$(port 1 controller)"
    fi
    sed -e "s#@ROLES@#$roles#; s#@ID@#$1#; s#@DATA@#$STATE/data$1#; s#@CERTS@#$STATE/certs#; s#@LISTENERS@#$listeners#" \
        -e "s#@CONTROLLER@#127.0.0.1:$(port 1 controller)#" "$KAFKA_DIR/secure.properties.in"
}

# Users exist before the first start; only the standalone controller takes them.
scram_users() {
    local user
    for user in admin orchestrator stranger; do
        echo "--add-scram SCRAM-SHA-512=[name=$user,password=$(sed -n 's/^sasl.password=//p' "$STATE/clients/$user/client.properties")]"
    done
}

# What the operator and its workers need, and nothing else: a prefix of topics and groups
allow_orchestrator() {
    [ ! -f "$STATE/allowed" ] || return 0
    tool org.apache.kafka.tools.AclCommand --bootstrap-server "$ADDRESS:$(port 1 scram)" --command-config "$STATE/java/admin.properties" \
        --add --allow-principal User:orchestrator --operation All --resource-pattern-type prefixed \
        --topic orchestrator. --group orchestrator. > "$STATE/log/acl.log" 2>&1 || die "access rules refused (log: $STATE/log/acl.log)"
    touch "$STATE/allowed"
}

# --- clients: a folder each, librdkafka's names; the admin's once more for Java

# scram_client USER PASSWORD
scram_client() {
    client "$1" scram "security.protocol=SASL_SSL" "sasl.mechanism=SCRAM-SHA-512" "sasl.username=$1" "sasl.password=$2"
    [ "$1" = admin ] || return 0
    mkdir -p "$STATE/java"
    java_client "$2" > "$STATE/java/admin.properties"
}

tls_client() {
    client "$1-tls" mtls "security.protocol=SSL"
    cp "$STATE/certs/$1.crt" "$STATE/clients/$1-tls/tls.crt"
    cp "$STATE/certs/$1.key" "$STATE/clients/$1-tls/tls.key"
}

# client NAME LISTENER LINE...
client() {
    local dir=$STATE/clients/$1 listener=$2
    shift 2
    mkdir -p "$dir"
    chmod 700 "$STATE/clients"
    cp "$STATE/certs/ca.crt" "$dir/ca.crt"
    printf '%s\n' "bootstrap.servers=$ADDRESS:$(port 1 "$listener"),$ADDRESS:$(port 2 "$listener")" "$@" > "$dir/client.properties"
}

java_client() {
    cat << PROPERTIES
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="$1";
ssl.truststore.type=PEM
ssl.truststore.location=$STATE/certs/ca.crt
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="$1";
ssl.truststore.type=PEM
ssl.truststore.location=$STATE/certs/ca.crt
PROPERTIES
}

down() {
    stop broker2 # while its controller still answers
    stop broker1
    remove_state run log data1 data2 certs clients java broker1.properties broker2.properties made allowed
    say "the secured Kafka is down"
}

command=${1:-}
case $command in
up | down) ;;
*) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
shift
options "$@"
"$command"
