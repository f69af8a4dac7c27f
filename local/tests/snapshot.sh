#!/usr/bin/env bash
# Everything on this machine that a cluster may leave behind, one thing a line, in a fixed order.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"

section() {
    local name=$1
    shift
    "$@" 2> /dev/null | sort | sed "s#^#$name: #"
}

# Not below /tmp, where nothing of ours mounts, and builds do
mounts() { awk '$5 !~ "^/tmp/" {print $5, $9, $10}' /proc/self/mountinfo; }
links() { ip -o -d link | sed 's/^[0-9]*: //; s/ qlen [0-9]*//'; }
addresses() { ip -o addr | sed 's/^[0-9]*: //'; }
routes() { ip route show table all && ip -6 route show table all && ip rule; }
cgroups() { find /sys/fs/cgroup -type d \( -name '*kubepods*' -o -path '*k8s.io*' \); }
paths() { ls -d /run/containerd* /run/netns/* /var/lib/cni* /var/lib/cni/*/* /var/lib/kubelet* /var/lib/kubelet/*/* /var/log/containers* \
    /var/log/pods* /usr/libexec/kubernetes* /etc/cni/net.d/* /var/tmp/ko-* /tmp/ko-* "$RUN"; }

# Ours, so that a build or a test beside this one is no difference
# shellcheck disable=SC2009 # the whole command line is what tells
processes() { ps -eo args= | grep -E "/var/tmp/ko-|$RUN/|^/(pause|orch-operator|orch-worker)( |$)" | grep -v 'grep -E'; }

listeners() { ss -ltunH | awk '{print $1, $5}' | grep -E ':(53|2379|2380|6443|8181|9092|9093|10248|10249|1025[06789]|19092)$|10\.244\.'; }

# Without those that count or name something that moves by itself
sysctls() { sysctl -a | grep -vE '^(kernel\.(random\.|ns_last_pid|pty\.nr|perf_)|fs\.(dentry-state|file-nr|inode|quota)|net\.netfilter\.nf_conntrack_count|vm\.(stat|drop_caches)|net\.ipv4\.tcp_(rto|tw))'; }

for thing in mounts links addresses routes cgroups processes listeners sysctls paths; do section "$thing" "$thing"; done
section nft nft list ruleset
section iptables iptables-save
section namespaces ip netns list
