# One authority, one certificate a component, one kubeconfig a client. Sourced by up.sh.
# shellcheck shell=bash

# The subjects are names that Kubernetes' built-in RBAC and Node authorizer know.
make_pki() {
    PKI=$STATE/pki
    [ ! -f "$PKI/done" ] || return 0
    mkdir -p "$PKI" "$STATE/conf"
    (
        umask 077
        authority
        cert apiserver /CN=kube-apiserver "$(api_names)"
        cert apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
        cert kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$HOST_IP"
        client admin /O=system:masters/CN=admin "$KUBECONFIG"
        client controller-manager /CN=system:kube-controller-manager
        client scheduler /CN=system:kube-scheduler
        client proxy /CN=system:kube-proxy
        client coredns /CN=system:coredns # its rights: conf/addons.yaml
        kubeconfig kubelet "$STATE/conf/kubelet.kubeconfig"
    )
    touch "$PKI/done"
}

EC="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650"

authority() {
    # shellcheck disable=SC2086 # EC is a list of options
    quiet openssl req -x509 $EC -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -subj /CN=local-cluster-ca \
        -addext "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
    quiet openssl genrsa -out "$PKI/sa.key" 2048 # signs service account tokens
}

api_names() {
    local n names="DNS:localhost,IP:127.0.0.1,IP:$HOST_IP,IP:$KUBE_IP,DNS:kubernetes"
    for n in default default.svc default.svc.cluster.local; do names="$names,DNS:kubernetes.$n"; done
    echo "$names"
}

# cert NAME SUBJECT [SUBJECT_ALT_NAMES]
cert() {
    # shellcheck disable=SC2086
    quiet openssl req -x509 -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" $EC -keyout "$PKI/$1.key" -out "$PKI/$1.crt" -subj "$2" \
        -addext "basicConstraints=critical,CA:FALSE" -addext "extendedKeyUsage=serverAuth,clientAuth" \
        ${3:+-addext "subjectAltName=$3"}
}

# client NAME SUBJECT [FILE]
client() {
    cert "$1" "$2"
    kubeconfig "$1" "${3:-$STATE/conf/$1.kubeconfig}"
}

kubeconfig() {
    cat > "$2" <<YAML
apiVersion: v1
kind: Config
current-context: local
clusters: [{name: local, cluster: {server: "https://$HOST_IP:$API_PORT", certificate-authority-data: $(b64 "$PKI/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(b64 "$PKI/$1.crt"), client-key-data: $(b64 "$PKI/$1.key")}}]
contexts: [{name: local, context: {cluster: local, user: $1}}]
YAML
}

b64() { base64 < "$1" | tr -d '\n'; }

# openssl tells its progress on stderr; show that only when it failed
quiet() {
    local out
    out=$("$@" 2>&1) || die "$out"
}
