# Settings of the one-node cluster, each to be overridden by the environment. Sourced by the scripts beside it.
# shellcheck shell=bash
NODE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$NODE_DIR/../lib.sh"

NODE_NAME=node1
BRIDGE=${BRIDGE:-kbr0}
HOST_IP=${HOST_IP:-10.244.0.1}  # the bridge's address: API server, kubelet, DNS, and "the host" as pods see it
HOST_NAME=host.local            # what pods may call it
POD_CIDR=${POD_CIDR:-10.244.0.0/24}
SERVICE_CIDR=${SERVICE_CIDR:-10.96.0.0/16}
KUBE_IP=${KUBE_IP:-10.96.0.1}   # first address of SERVICE_CIDR
DNS_IP=${DNS_IP:-10.96.0.10}
PAUSE_IMAGE=localhost/pause:1

# One set of binaries for one set of versions.
NODE_CACHE=$CACHE/node/$(hash_of "$NODE_DIR"/*/go.mod "$NODE_DIR"/*/go.sum "$NODE_DIR/dns/main.go")
export PATH=$NODE_CACHE/bin:$PATH:/usr/sbin:/sbin # the last two for ip and nft, where a shell lacks them

# settings "$@": the options that up.sh and down.sh share, and what follows from them
settings() {
    CONTROL_PLANE='' STATE=${NODE_STATE:-}
    local base=${API_PORT:-}
    while [ $# -gt 0 ]; do
        case $1 in
        --control-plane) CONTROL_PLANE=1 ;;
        --dir) mkdir -p "${2:?a folder}" && STATE=$(cd "$2" && pwd) && shift ;;
        --port) base=${2:?a port, or auto} && shift ;;
        *) die "unknown option $1 (known: --control-plane, --dir DIR, --port PORT|auto)" ;;
        esac
        shift
    done
    if [ -n "$CONTROL_PLANE" ]; then control_plane_settings "$base"; else full_settings; fi
    export KUBECONFIG=$STATE/admin.kubeconfig
}

# Full node. The state lies outside the tree: the paths of unix sockets end at 107 characters.
full_settings() {
    STATE=${STATE:-/var/tmp/ko-$(printf '%s' "$ROOT" | sha256 | cut -c1-8)}
    [ ${#STATE} -le 40 ] || die "$STATE is too long for the unix sockets below it: 40 characters at most"
    API_PORT=6443 ETCD_PORT=2379 ETCD_PEER_PORT=2380 CONTROLLER_PORT=10257 SCHEDULER_PORT=10259
}

# API only. Four adjacent ports, none of them the full node's: both may run at once, and several of these.
control_plane_settings() {
    local base=$1
    STATE=${STATE:-$RUN/api} HOST_IP=127.0.0.1
    if [ -f "$STATE/run/port" ]; then base=$(cat "$STATE/run/port"); fi
    case ${base:-16443} in auto) base=$(free_ports 4) ;; *) base=${base:-16443} ;; esac
    API_PORT=$base ETCD_PORT=$((base + 1)) ETCD_PEER_PORT=$((base + 2)) CONTROLLER_PORT=$((base + 3))
}

# containerd's client, on our socket
cri() { ctr -a "$STATE/run/containerd.sock" -n k8s.io "$@"; }

# render FILE OUT: fill in a file of conf/
render() {
    sed -e "s#@STATE@#$STATE#g" -e "s#@NODE@#$NODE_NAME#g" -e "s#@BRIDGE@#$BRIDGE#g" -e "s#@HOST_IP@#$HOST_IP#g" \
        -e "s#@HOST_NAME@#$HOST_NAME#g" -e "s#@POD_CIDR@#$POD_CIDR#g" -e "s#@SERVICE_CIDR@#$SERVICE_CIDR#g" \
        -e "s#@DNS_IP@#$DNS_IP#g" -e "s#@PAUSE@#$PAUSE_IMAGE#g" "$NODE_DIR/conf/$1" > "$2"
}
