#!/usr/bin/env bash
# Build the cluster's programs and the tools from Go modules into the cache: build.sh [NAME...]   (default: all)
# Needs only Go and a module proxy; a name that is there already costs nothing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

KUBE="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl"
BIN=$NODE_CACHE/bin
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOTOOLCHAIN=local

# go_build MODULE NAME PACKAGE [LDFLAGS]: under its final name only when it is complete
go_build() {
    local t=$SECONDS
    [ ! -x "$BIN/$2" ] || return 0
    (cd "$NODE_DIR/$1" && go build -trimpath -ldflags "-s -w ${4:-}" -o "$BIN/.$2.$$" "$3") || die "$2 did not build"
    mv "$BIN/.$2.$$" "$BIN/$2"
    say "$2 built in $((SECONDS - t)) s"
}

# Without these the kubelet reports v0.0.0-master, and kubectl warns of a version skew.
version_flags() {
    local v minor p=k8s.io/component-base/version
    v=$(sed -n 's#^[[:space:]]*k8s.io/kubernetes \(v[0-9.]*\).*#\1#p' "$NODE_DIR/kube/go.mod")
    [ -n "$v" ] || die "no version of k8s.io/kubernetes in kube/go.mod"
    minor=${v#v1.}
    echo "-X $p.gitVersion=$v -X $p.gitMajor=1 -X $p.gitMinor=${minor%%.*} -X $p.gitTreeState=clean"
}

build() {
    case $1 in
    etcd) go_build kube etcd go.etcd.io/etcd/server/v3 ;;
    coredns) go_build dns coredns . ;;
    helm) go_build tools helm helm.sh/helm/v4/cmd/helm ;;
    kubeconform) go_build tools kubeconform github.com/yannh/kubeconform/cmd/kubeconform ;;
    helm-unittest) go_build tools helm-unittest github.com/helm-unittest/helm-unittest/cmd/helm-unittest ;;
    kind) go_build tools kind sigs.k8s.io/kind ;;
    kube*)
        local flags
        flags=$(version_flags) # on a line of its own, so that its failure ends the script
        go_build kube "$1" "k8s.io/kubernetes/cmd/$1" "$flags"
        ;;
    *) die "no such program: $1" ;;
    esac
}

command -v go > /dev/null || die "Go 1.26 is missing; local/requirements.sh check api says how to get it"
mkdir -p "$BIN"
# shellcheck disable=SC2086 # KUBE is a list
[ $# -gt 0 ] || set -- $KUBE etcd coredns helm kubeconform helm-unittest
for name in "$@"; do build "$name"; done
