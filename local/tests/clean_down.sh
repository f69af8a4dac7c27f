#!/usr/bin/env bash
# Proves that the cluster works for pods and leaves nothing on the machine: before = after, also when every daemon was killed.
# Needs root and no running cluster; the programs are built if they are not.
# The images are made as ever, of a small C program instead of ours.
set -euo pipefail
. "$(dirname "$0")/../node/lib.sh"
settings
HERE=$ROOT/local/tests
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT

up() {
    "$ROOT/local/node/up.sh"
    "$ROOT/local/kafka/kafka.sh" up
    mkdir -p "$OUT/bin"
    cc -O1 -o "$OUT/bin/orch-worker" "$HERE/probe.c"
    cp "$OUT/bin/orch-worker" "$OUT/bin/orch-operator"
    "$ROOT/local/images.sh" --bin-dir "$OUT/bin"
    kubectl apply -f "$HERE/probe.yaml" > /dev/null
    kubectl -n probe rollout status deploy/probe --timeout=120s
}

# reaches HOST PORT: from a pod
reaches() {
    local i
    for i in $(seq 20); do # a Service is routed some time after its pods are ready
        if kubectl -n probe exec deploy/probe -- /orch-worker "$1" "$2" 2> "$OUT/err"; then
            say "a pod reaches $1:$2"
            return
        fi
        sleep 0.5
    done
    die "a pod does not reach $1:$2 after $i tries: $(cat "$OUT/err")"
}

check_pods() {
    reaches probe 80
    reaches probe.probe.svc.cluster.local 80
    reaches kubernetes.default 443
    reaches "$HOST_IP" 19092
    reaches "$HOST_NAME" 19092
    if kubectl -n probe exec deploy/probe -- /orch-worker example.com 80 2> "$OUT/err"; then die "a pod reached beyond this machine"; fi
    if kubectl -n probe run bad --image="$WORKER_IMAGE" 2> "$OUT/err"; then die "an unrestricted pod was let in"; fi
    grep -q 'violates PodSecurity "restricted' "$OUT/err" || die "refused for another reason: $(cat "$OUT/err")"
    grep -q '"verb":"create".*"resource":"deployments"' "$STATE/log/audit.log" || die "nothing in the audit log"
    kubectl -n probe logs deploy/probe > /dev/null
}

down() {
    "$ROOT/local/kafka/kafka.sh" down
    "$ROOT/local/node/down.sh"
    rmdir "$RUN" 2> /dev/null || true
}

kill_daemons() {
    local file
    for file in "$STATE"/run/*.pid "$RUN"/kafka/run/*.pid; do kill -9 "$(cat "$file")"; done
}

# Twice with a pause, because what moves by itself says nothing: such lines are left out of the comparison.
before() {
    "$HERE/snapshot.sh" > "$OUT/before"
    sleep 2
    "$HERE/snapshot.sh" | diff "$OUT/before" - | sed -n 's/^[<>] \(sysctls: [^=]*=\).*/\1/p' | sort -u > "$OUT/moving"
}

compare() {
    "$HERE/snapshot.sh" > "$OUT/after"
    local side
    for side in before after; do grep -vFf "$OUT/moving" "$OUT/$side" > "$OUT/$side.still" || true; done
    diff "$OUT/before.still" "$OUT/after.still" || die "$1 left something behind (< before, > after)"
    say "$1 left nothing behind ($(wc -l < "$OUT/after.still") lines equal)"
}

. "$ROOT/local/settings.sh"
"$ROOT/local/node/build.sh"
! alive kubelet || die "a cluster is running; make cluster-down first"
before
up
check_pods
down
compare "a clean stop"
up
kill_daemons
down
compare "a stop after kill -9 of every daemon"
