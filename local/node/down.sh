#!/usr/bin/env bash
# Stop the cluster that up.sh started with the same options, and leave nothing behind. Works after a crash of any daemon,
# and when nothing runs. No -e: each step is tried, whatever became of the one before.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$NODE_DIR/leftovers.sh"

settings "$@"
[ -d "$STATE/run" ] || { rmdir "$STATE" 2> /dev/null; exit 0; }
[ -n "$CONTROL_PLANE" ] || [ "$(id -u)" = 0 ] || die "the cluster in $STATE was started by root"

stop proxy coredns scheduler controller-manager kubelet apiserver
[ -n "$CONTROL_PLANE" ] || stop_pods
stop etcd
[ -n "$CONTROL_PLANE" ] || remove_leftovers
for part in run log conf pki etcd kubelet containerd ipam admin.kubeconfig; do rm -rf "${STATE:?}/$part"; done
rmdir "$STATE" 2> /dev/null
say "the node is down"
