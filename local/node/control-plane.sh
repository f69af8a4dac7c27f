# etcd, API server, controller manager, scheduler. Sourced by up.sh.
# shellcheck shell=bash

start_api() {
    check_api_ports
    start etcd etcd --name local --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
        --listen-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
        --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
        --initial-cluster "local=http://127.0.0.1:$ETCD_PEER_PORT"
    # The audit log is what the chart's RBAC is compared with. Written before the answer is sent, so a test
    # that has its answer finds the line.
    start apiserver kube-apiserver --etcd-servers "http://127.0.0.1:$ETCD_PORT" \
        --bind-address "$HOST_IP" --advertise-address "$HOST_IP" --secure-port "$API_PORT" \
        --service-cluster-ip-range "$SERVICE_CIDR" --allow-privileged \
        --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" --client-ca-file "$PKI/ca.crt" \
        --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-key-file "$PKI/sa.key" --service-account-signing-key-file "$PKI/sa.key" \
        --kubelet-client-certificate "$PKI/apiserver-kubelet-client.crt" \
        --kubelet-client-key "$PKI/apiserver-kubelet-client.key" --kubelet-certificate-authority "$PKI/ca.crt" \
        --kubelet-preferred-address-types InternalIP \
        --audit-policy-file "$NODE_DIR/conf/audit-policy.yaml" --audit-log-path "$STATE/log/audit.log" \
        --audit-log-maxsize 2000 ${CONTROL_PLANE:+--endpoint-reconciler-type none}
}

check_api_ports() {
    if ! alive etcd; then
        need_port etcd 127.0.0.1 "$ETCD_PORT"
        need_port "etcd's peers" 127.0.0.1 "$ETCD_PEER_PORT"
    fi
    if ! alive apiserver; then need_port "the API server" "$HOST_IP" "$API_PORT"; fi
}

# The controller manager makes a token for each controller first: at the default 20 requests a second, six seconds.
start_controllers() {
    if ! alive controller-manager; then need_port "the controller manager" 127.0.0.1 "$CONTROLLER_PORT"; fi
    # Where nothing is scheduled there are no pods either, and the status of a Deployment is free for who acts them.
    start controller-manager kube-controller-manager --kubeconfig "$STATE/conf/controller-manager.kubeconfig" \
        --controllers "*${CONTROL_PLANE:+,-deployment-controller,-replicaset-controller}" \
        --bind-address 127.0.0.1 --secure-port "$CONTROLLER_PORT" --leader-elect=false \
        --use-service-account-credentials --kube-api-qps 500 --kube-api-burst 1000 \
        --flex-volume-plugin-dir "$STATE/kubelet/plugins-exec" \
        --service-account-private-key-file "$PKI/sa.key" --root-ca-file "$PKI/ca.crt" \
        --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key"
    [ -z "$CONTROL_PLANE" ] || return 0 # nothing to schedule on
    if ! alive scheduler; then need_port "the scheduler" 127.0.0.1 "$SCHEDULER_PORT"; fi
    start scheduler kube-scheduler --kubeconfig "$STATE/conf/scheduler.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false
}
