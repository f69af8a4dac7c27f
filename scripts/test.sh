#!/usr/bin/env bash
# `make test`: runs every stage that this machine can, and ends with a table: what passed, what was skipped, why, and
# how to enable it. `scripts/test.sh STAGE...` runs only these.
# With CI set nothing may be skipped. As root on Debian with YES=1 it first installs the packages that are missing.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$ROOT/local/settings.sh"

ALL="lint unit demo examples kafka charts dockerfile api processes chaos cluster clean-down"
LEVELS="any kafka api cluster"
# Of stages that no level of local/requirements.sh stands for.
EXTRA_PACKAGES="shellcheck buildah mmdebstrap python3-pip"
API_PROGRAMS="kube-apiserver kube-controller-manager kubectl etcd"
NODE_PROGRAMS="kube-scheduler kubelet kube-proxy coredns helm-unittest"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/orch-test-all.XXXXXX")
CHILD='' PASSED=0 FAILED=0
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

has() { command -v "$1" > /dev/null 2>&1; }
has_pip() { python3 -m pip --version > /dev/null 2>&1; }

# --- what this machine can

# lacks LEVEL: what local/requirements.sh misses, separated by commas
lacks() {
    [ -f "$WORK/level-$1" ] || local/requirements.sh check "$1" > "$WORK/level-$1" 2>&1
    sed -n 's/^missing: \(.\{28\}\).*/\1/p' "$WORK/level-$1" | sed 's/ *$//' | paste -s -d , - | sed 's/,/, /g'
}

# need_level LEVEL, need TEST WHAT HOW: say what is missing, and after a bar how to get it
need_level() {
    local missing
    missing=$(lacks "$1")
    [ -z "$missing" ] || echo "$missing missing|local/requirements.sh check $1"
}
need() { $1 > /dev/null 2>&1 || echo "$2|$3"; }

# obstacles STAGE: why it cannot run here, one reason a line; nothing when it can
obstacles() {
    case $1 in
    lint)
        need_level any
        need "cargo fmt --version" "rustfmt missing" "rustup component add rustfmt"
        need "cargo clippy --version" "clippy missing" "rustup component add clippy"
        ;;
    unit | demo) need_level any ;;
    examples)
        need_level any
        need "has python3" "Python 3 missing" "install python3"
        ;;
    kafka) need_level kafka ;;
    charts)
        need_level api
        need has_pip "Python 3 with pip missing" "install python3-pip"
        ;;
    dockerfile)
        need "test $(id -u) = 0" "not root" "run it as root on Debian"
        need "has buildah" "buildah missing" "apt-get install buildah"
        need "has mmdebstrap" "mmdebstrap missing" "apt-get install mmdebstrap"
        ;;
    api) need_level api ;;
    processes | chaos)
        need_level kafka
        need_level api
        ;;
    cluster)
        need_level cluster
        need "test ! -e $RUN/flavour" "a cluster is up already" "make cluster-down"
        ;;
    clean-down)
        need_level cluster
        need "test ! -e $RUN/flavour" "a cluster is up already" "make cluster-down"
        ;;
    *) echo "there is no such stage|one of: $ALL" ;;
    esac
}

# Root on Debian who says YES=1; never sudo. Everybody else finds the packages in the table.
install_packages() {
    local level
    if [ "${YES:-}" != 1 ] || [ "$(id -u)" != 0 ] || ! has apt-get; then return; fi
    for level in $LEVELS; do
        if [ -n "$(lacks "$level")" ]; then local/requirements.sh install "$level"; fi
        rm "$WORK/level-$level"
    done
    if has shellcheck && has buildah && has mmdebstrap && has_pip; then return; fi
    apt-get update -qq
    # shellcheck disable=SC2086 # a list
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $EXTRA_PACKAGES
}

# --- downloads and Go builds, in the background and at low priority

# job NAME COMMAND...: in a process group of its own, so that all of it can be stopped
job() {
    local name=$1
    shift
    [ ! -f "$WORK/$name.log" ] || return 0
    set -m
    nice -n 19 "$@" > "$WORK/$name.log" 2>&1 < /dev/null &
    echo $! > "$WORK/$name.pid"
    set +m
}

start_jobs() {
    if wanted kafka processes chaos cluster clean-down && has mvn && has java; then job jars local/kafka/jars.sh; fi
    if ! wanted charts api processes chaos cluster clean-down || ! has go; then return; fi
    # shellcheck disable=SC2086 # lists
    if wanted cluster clean-down && [ -z "$(lacks cluster)" ] && [ "$(flavour)" = node ]; then
        job programs local/node/build.sh helm kubeconform $API_PROGRAMS $NODE_PROGRAMS
    else
        job programs local/node/build.sh helm kubeconform $API_PROGRAMS
    fi
}

# finish NAME: waits for the job, once; shows what it said if it failed
finish() {
    [ -f "$WORK/$1.pid" ] || return 0
    echo "waiting for the download or build that runs in the background: $1"
    if ! wait "$(cat "$WORK/$1.pid")"; then
        echo "in the background: $1 failed, and its last words were"
        tail -n 40 "$WORK/$1.log"
    fi
    mv "$WORK/$1.pid" "$WORK/$1.finished"
}

# --- stages

wanted() {
    local stage
    for stage in "$@"; do
        case " $STAGES " in *" $stage "*) return 0 ;; esac
    done
    return 1
}

target() {
    case $1 in
    kafka | api) echo "it-$1" ;;
    processes | cluster) echo "e2e-$1" ;;
    chaos) echo "chaos-short" ;;
    *) echo "$1" ;;
    esac
}

# row STAGE RESULT SECONDS WHY HOW
row() { printf '%-11s %-8s %7s  %s\n' "$1" "$2" "$3" "$4${5:+ -> $5}" >> "$WORK/table"; }

stage() {
    local name=$1 begin=$SECONDS reasons result
    printf '\n=== %s\n' "$name"
    reasons=$(obstacles "$name")
    if [ -n "$reasons" ]; then
        skip "$name" "$(printf '%s\n' "$reasons" | cut -d '|' -f 1 | paste -s -d ';' - | sed 's/;/; /g')" \
            "$(printf '%s\n' "$reasons" | cut -d '|' -f 2 | sort -u | paste -s -d ';' - | sed 's/;/; /g')"
        return
    fi
    case $name in
    kafka) finish jars ;;
    charts | api) finish programs ;;
    processes | chaos | cluster | clean-down)
        finish jars
        finish programs
        ;;
    esac
    set -m
    make --no-print-directory "$(target "$name")" < /dev/null &
    CHILD=$!
    set +m
    if wait "$CHILD"; then result=passed PASSED=$((PASSED + 1)); else result=failed FAILED=$((FAILED + 1)); fi
    CHILD=''
    row "$name" "$result" $((SECONDS - begin)) "$([ "$result" = passed ] || echo "make $(target "$name") runs it alone")"
}

skip() {
    echo "skipped: $2"
    if [ -n "${CI:-}" ]; then
        FAILED=$((FAILED + 1))
        row "$1" failed - "nothing may be skipped: $2" "$3"
    else
        row "$1" skipped - "$2" "$3"
    fi
}

# Whatever runs is stopped, and what it started by itself stops with it: every stage cleans up when it is told to end.
end() {
    local status=$? file
    for file in "$WORK"/*.pid; do
        if [ -f "$file" ]; then kill -TERM -- "-$(cat "$file")" 2> /dev/null; fi
    done
    if [ -n "$CHILD" ]; then
        kill -TERM -- "-$CHILD" 2> /dev/null
        wait "$CHILD"
    fi
    rm -rf "$WORK"
    exit "$status"
}

# without STAGE...: takes them out of the list
without() {
    local name
    # shellcheck disable=SC2086 # a list
    for name in "$@"; do STAGES=$(printf '%s\n' $STAGES | grep -vx "$name" | paste -s -d ' ' -); done
}

STAGES=${*:-$ALL}
[ -f e2e/Cargo.toml ] || without processes chaos cluster
[ "$(flavour)" = node ] || without clean-down # kind takes itself away
start_jobs
install_packages
start_jobs # of tools that were not there
for name in $STAGES; do stage "$name"; done

printf '\n%-11s %-8s %7s  %s\n' stage result seconds "why, and how to enable it"
cat "$WORK/table"
printf '%s passed, %s failed\n' "$PASSED" "$FAILED"
[ "$FAILED" = 0 ]
