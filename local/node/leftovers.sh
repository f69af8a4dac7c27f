# What pods leave on a machine when their daemons are gone. Sourced by down.sh.
# Only things that name our state folder or our containers are touched: other containers may run beside.
# shellcheck shell=bash

stop_pods() {
    local tasks=$STATE/run/containerd/io.containerd.runtime.v2.task/k8s.io id sockets
    CONTAINERS=$(ls "$tasks" 2> /dev/null)
    sockets=$(for id in $CONTAINERS; do sed 's#^unix://##' "$tasks/$id/address" && echo; done 2> /dev/null)
    kill_containers
    stop containerd
    kill_shims
    # shellcheck disable=SC2086 # a list; the folder is fixed in containerd, whatever its configuration
    rm -f $sockets
    rmdir /run/containerd/s /run/containerd 2> /dev/null
}

# A container's cgroup bears its id, so this finds what it has forked too.
kill_containers() {
    local id pid
    for id in $CONTAINERS; do
        for pid in $(find /sys/fs/cgroup -path "*kubepods*/$id/cgroup.procs" -exec cat {} + 2> /dev/null | sort -u); do
            kill -9 "$pid" 2> /dev/null
        done
    done
}

kill_shims() {
    local dir
    for dir in /proc/[0-9]*; do
        command_of "${dir#/proc/}" 2> /dev/null | grep -q "^[^ ]*containerd-shim.* -address $STATE/run/containerd.sock" &&
            kill -9 "${dir#/proc/}" 2> /dev/null
    done
}

remove_leftovers() {
    unmount
    remove_cgroups
    nft delete table ip kube-proxy 2> /dev/null
    nft delete table ip6 kube-proxy 2> /dev/null
    ip link show "$BRIDGE" 2> /dev/null | grep -qF "alias $STATE" && ip link del "$BRIDGE"
    remove_fixed_paths
    [ ! -f "$STATE/run/sysctl.saved" ] || sysctl -qp "$STATE/run/sysctl.saved"
}

# Overlays, volumes, network namespaces: deepest first
unmount() {
    local point
    awk -v s="$STATE/" 'index($5, s) == 1 {print $5}' /proc/self/mountinfo | sort -r |
        while read -r point; do umount -l "$point"; done
}

# A cgroup can be removed only some time after its last process has gone.
remove_cgroups() {
    local try trees
    for try in $(seq 50); do
        trees=$(find /sys/fs/cgroup -maxdepth 2 -name kubepods)
        [ -n "$trees" ] || return 0
        # shellcheck disable=SC2086 # a list
        find $trees -depth -type d -exec rmdir {} \; 2> /dev/null
        sleep 0.1
    done
    printf 'after %s tries this cgroup is left: %s\n' "$try" "${trees%%$'\n'*}" >&2
}

# Paths that kubelet and CNI use whatever their configuration says
remove_fixed_paths() {
    local id
    for id in $CONTAINERS; do rm -f /var/lib/cni/results/*-"$id"-*; done
    find /var/log/containers -lname "$STATE/*" -delete 2> /dev/null
    rm -f /var/lib/kubelet/device-plugins/kubelet.sock
    rmdir /var/lib/cni/results /var/lib/cni /var/lib/kubelet/device-plugins /var/lib/kubelet /var/log/containers 2> /dev/null
}
