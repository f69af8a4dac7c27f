# The node itself: bridge, containerd, kubelet, kube-proxy, DNS. Sourced by up.sh; needs root.
# shellcheck shell=bash

check_node() {
    [ "$(id -u)" = 0 ] || die "a real node needs root; without it: --control-plane, or a container engine with kind"
    refuse_other_kubelet
    if ! alive kubelet; then
        need_port "the kubelet" "$HOST_IP" 10250
        need_port "the kubelet's health check" 127.0.0.1 10248
    fi
    if ! alive proxy; then
        need_port "kube-proxy's metrics" 127.0.0.1 10249
        need_port "kube-proxy's health check" 127.0.0.1 10256
    fi
    if ! alive coredns; then
        need_port DNS "$HOST_IP" 53
        need_port "DNS's health check" 127.0.0.1 8181
    fi
}

# Two kubelets share one tree of cgroups and clean up each other's pods.
refuse_other_kubelet() {
    alive kubelet && return
    local found
    found=$(find /sys/fs/cgroup -maxdepth 2 \( -name kubepods -o -name kubepods.slice \) | head -n 1)
    [ -z "$found" ] || [ -f "$STATE/run/sysctl.saved" ] || die "$found: this machine runs a kubelet already"
}

# One bridge whose address is everything's: nothing listens on the machine's outside address.
make_network() {
    save_sysctls
    if ip link show "$BRIDGE" > /dev/null 2>&1; then
        ip link show "$BRIDGE" | grep -qF "alias $STATE" || die "the link $BRIDGE exists and is not this cluster's; set BRIDGE"
    else
        # A fixed MAC: a bridge otherwise takes its lowest port's, and what pods remember of it goes stale.
        ip link add "$BRIDGE" address 02:00:0a:f4:00:01 type bridge
        ip link set "$BRIDGE" alias "$STATE" # whose it is
        ip addr add "$HOST_IP/${POD_CIDR#*/}" dev "$BRIDGE"
        ip link set "$BRIDGE" up
        ip route add "$SERVICE_CIDR" dev "$BRIDGE" # a Service address without a rule must not leave by the default route
    fi
    sysctl -qw net.ipv4.ip_forward=1
}

# What CNI and the kubelet set; down.sh puts them back.
save_sysctls() {
    local key
    [ ! -f "$STATE/run/sysctl.saved" ] || return 0
    for key in net.ipv4.ip_forward vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops; do
        echo "$key=$(sysctl -n $key)"
    done > "$STATE/run/sysctl.saved"
}

start_containerd() {
    mkdir -p "$STATE/conf/cni"
    render containerd.toml "$STATE/conf/containerd.toml"
    render cni.conflist "$STATE/conf/cni/10-pods.conflist"
    start containerd containerd --config "$STATE/conf/containerd.toml"
    await containerd 30 "containerd answers" cri version
    make_pause_image
    cri image import "$NODE_CACHE/pause.tar" > /dev/null
}

# The program that holds a pod's namespaces open: nine lines of C instead of an image from a registry.
make_pause_image() {
    [ ! -f "$NODE_CACHE/pause.tar" ] || return 0
    local dir
    dir=$(mktemp -d)
    cc -static -Os -s -o "$dir/pause" "$NODE_DIR/conf/pause.c"
    "$ROOT/local/mkimage.py" --name "$PAUSE_IMAGE" --file "$dir/pause:/pause" --entrypoint /pause --out "$NODE_CACHE/pause.tar" > /dev/null
    rm -r "$dir"
}

start_node() {
    local file
    : > "$STATE/conf/resolv.conf" # pods get the cluster's DNS and nothing else
    for file in kubelet.yaml proxy.yaml Corefile addons.yaml; do render "$file" "$STATE/conf/$file"; done
    start kubelet kubelet --config "$STATE/conf/kubelet.yaml" --kubeconfig "$STATE/conf/kubelet.kubeconfig" \
        --root-dir "$STATE/kubelet" --cert-dir "$STATE/kubelet/pki" --hostname-override "$NODE_NAME" --node-ip "$HOST_IP"
    start proxy kube-proxy --config "$STATE/conf/proxy.yaml"
    start coredns coredns -conf "$STATE/conf/Corefile"
    kubectl apply -f "$STATE/conf/addons.yaml" > /dev/null
}

await_node() {
    await kubelet 90 "node ready" kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=1s
    await coredns 60 "DNS ready" curl -fsS http://127.0.0.1:8181/ready
    await proxy 60 "services routed" dns_is_routed
}

dns_is_routed() { nft list map ip kube-proxy service-ips | grep -q "$DNS_IP . udp"; }
