#!/usr/bin/env bash
# One plain Kafka broker:
#   kafka.sh up     [--dir DIR] [--port P|auto] [--pods-port P]   prints the bootstrap address, also kept in DIR/bootstrap
#   kafka.sh down   [--dir DIR] [--keep]                          --keep: the data stay, and `up` brings them back
#   kafka.sh topics [--dir DIR]                                   one name a line
# Without --dir it is the cluster's broker: port 9092 on loopback, and 19092 on the pods' bridge if that exists.
# With --dir it is a private one on ports P and P+1, and no pod sees it unless --pods-port is given.
# `up` brings back a broker that was killed, and restarts one whose listeners have to change.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

options() {
    STATE='' PORT='' PODS_PORT='' KEEP=''
    while [ $# -gt 0 ]; do
        case $1 in
        --dir) mkdir -p "${2:?a folder}" && STATE=$(cd "$2" && pwd) && shift ;;
        --port) PORT=${2:?a port, or auto} && shift ;;
        --pods-port) PODS_PORT=${2:?a port} && shift ;;
        --keep) KEEP=1 ;;
        *) die "unknown option $1" ;;
        esac
        shift
    done
    [ -n "$STATE" ] || clusters_broker
}

clusters_broker() {
    STATE=$RUN/kafka PORT=${PORT:-${KAFKA_PORT:-9092}}
    if has_address "$PODS_IP"; then PODS_PORT=${PODS_PORT:-${KAFKA_PODS_PORT:-19092}}; fi
}

up() {
    choose_port
    fetch_jars
    mkdir -p "$STATE/run" "$STATE/log"
    properties > "$STATE/server.properties.new"
    if alive kafka && cmp -s "$STATE/server.properties.new" "$STATE/server.properties"; then
        rm "$STATE/server.properties.new"
    else
        restart
    fi
    await kafka 90 "Kafka answers at 127.0.0.1:$PORT" sees_brokers 1 "127.0.0.1:$PORT"
    echo "127.0.0.1:$PORT" | tee "$STATE/bootstrap"
}

# auto: once; later calls find the same
choose_port() {
    if [ -f "$STATE/bootstrap" ] && [ "${PORT:-auto}" = auto ]; then PORT=$(sed 's/.*://' "$STATE/bootstrap"); fi
    if [ "${PORT:=auto}" = auto ]; then PORT=$(free_ports 2); fi
}

restart() {
    stop kafka
    need_port Kafka 127.0.0.1 "$PORT" KAFKA_PORT
    need_port "Kafka's controller" 127.0.0.1 $((PORT + 1)) KAFKA_PORT
    [ -z "$PODS_PORT" ] || need_port "Kafka for pods" "$PODS_IP" "$PODS_PORT" KAFKA_PODS_PORT
    mv "$STATE/server.properties.new" "$STATE/server.properties"
    format_storage "$STATE/server.properties" "$STATE/data" "$(new_cluster_id)" --standalone
    start_broker kafka "$STATE/server.properties"
}

# A broker must bind and advertise the address that its client used: pods never reach 127.0.0.1.
properties() {
    local host="HOST://127.0.0.1:$PORT${PODS_PORT:+,PODS://$PODS_IP:$PODS_PORT}"
    sed -e "s#@LISTENERS@#$host,CONTROLLER://127.0.0.1:$((PORT + 1))#; s#@ADVERTISED@#$host#" \
        -e "s#@CONTROLLER@#127.0.0.1:$((PORT + 1))#; s#@DATA@#$STATE/data#" "$KAFKA_DIR/server.properties.in"
}

down() {
    stop kafka
    [ -n "$KEEP" ] || remove_state run log data bootstrap server.properties server.properties.new
    say "Kafka is down"
}

topics() { tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$(cat "$STATE/bootstrap")" --list; }

command=${1:-}
case $command in
up | down | topics) ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
shift
options "$@"
"$command"
