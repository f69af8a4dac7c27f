#!/usr/bin/env bash
# Start the one-node cluster, or what of it is not running:
#   up.sh                                              all of it, as root
#   up.sh --control-plane [--dir DIR] [--port P|auto]  the API alone on 127.0.0.1, as anybody; several at once
# Ends by printing the KUBECONFIG.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$NODE_DIR/pki.sh"
. "$NODE_DIR/control-plane.sh"
. "$NODE_DIR/worker.sh"

settings "$@"
[ -n "$CONTROL_PLANE" ] || check_node
private_dir "$STATE"
mkdir -p "$STATE/run" "$STATE/log" "$STATE/conf"
make_pki

[ -n "$CONTROL_PLANE" ] || make_network # the API server binds its address
start_api
echo "$API_PORT" > "$STATE/run/port" # later calls find the same
[ -n "$CONTROL_PLANE" ] || start_containerd
await apiserver 120 "API server ready" kubectl get --raw /readyz
start_controllers
[ -n "$CONTROL_PLANE" ] || start_node
await controller-manager 60 "default service account" kubectl get serviceaccount default
[ -n "$CONTROL_PLANE" ] || await_node
echo "KUBECONFIG=$KUBECONFIG"
