#!/usr/bin/env bash
# Other engines on the same graphs beside ours, interleaved; bench/peers/README.md says what is measured and how.
#   GRAPHS=DIR     edge lists NAME.tsv.gz in place of the generated graphs      WORKERS=2   of each peer
#   ROUNDS=5       how often at most; an engine that is slow has fewer          OUT=DIR     for peers.json
#   ENGINES='ours ray dask celery prefect airflow argo'                         WARM=45     seconds of work for ours, once
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export ORCH_CACHE=$CACHE # the peers have another HOME
export KAFKA_JVM='' # a broker as people have it
PEERS=$ROOT/bench/peers HOUSE=$CACHE/peers
ENGINES=${ENGINES:-ours ray dask celery prefect airflow argo}
ROUNDS=${ROUNDS:-5} WORKERS=${WORKERS:-2} WARM=${WARM:-45} OUT=${OUT:-$TARGET/bench}
CHILD='' FAILED='' REVISION=$(git describe --always --dirty 2> /dev/null || echo unknown)
. "$ROOT/scripts/servers.sh"
trap end EXIT
WORK=$SERVERS/peers ROWS=$SERVERS/peers/rows.jsonl

# A child has processes and folders of its own, which it takes away when it is told to end.
end() {
    local status=$?
    if [ -n "$CHILD" ]; then
        kill -TERM "$CHILD" 2> /dev/null || true
        wait "$CHILD" 2> /dev/null || true
    fi
    set +e
    (exit "$status") # what stop_servers asks for
    stop_servers
}

# aside COMMAND...: waits for it, and can be interrupted meanwhile
aside() {
    local status=0
    "$@" &
    CHILD=$!
    wait "$CHILD" || status=$?
    CHILD=''
    return "$status"
}

# rounds_of ENGINE: fewer for those that take minutes for one
rounds_of() {
    case $1 in
    prefect | argo) least "$ROUNDS" 3 ;;
    airflow) least "$ROUNDS" 2 ;;
    *) echo "$ROUNDS" ;;
    esac
}
least() { if [ "$1" -lt "$2" ]; then echo "$1"; else echo "$2"; fi; }

wanted() { case " $ENGINES " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# house_of ENGINE: its virtual environment, one for one set of versions
house_of() { echo "$HOUSE/$1-$({ python3 --version && cat "$PEERS/requirements/$1.txt"; } | sha256 | cut -c1-12)"; }

# install ENGINE: once; what an older list asked for goes
install() {
    local house
    house=$(house_of "$1")
    [ ! -e "$house/complete" ] || return 0
    say "installing $1"
    rm -rf "$HOUSE/$1-"*
    if python3 -m venv "$house" &&
        "$house/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$PEERS/requirements/$1.txt"; then
        touch "$house/complete"
    else
        rm -rf "$house"
        echo "{\"engine\": \"$1\", \"skipped\": \"its packages could not be installed\"}" >> "$ROWS"
    fi
}

REDIS_LIBRARIES="libatomic1 libjemalloc2 liblzf1 lua-bitop lua-cjson liblua5.1-0"
# Celery's Redis: the one that is there; else Debian's package, unpacked into the cache, for which nobody must be root.
redis() {
    local house=$HOUSE/redis libraries package
    if command -v redis-server > /dev/null || ! command -v apt-get dpkg-deb > /dev/null; then return; fi
    if [ ! -x "$house/bin/redis-server" ]; then
        say "unpacking redis-server"
        rm -rf "$house"
        mkdir -p "$house/packages" "$house/bin"
        # Where it fails, Celery's row says what is missing.
        (cd "$house/packages" && apt-get download -qq redis-server redis-tools $REDIS_LIBRARIES 2> /dev/null) || return 0
        for package in "$house"/packages/*.deb; do dpkg-deb -x "$package" "$house" || return 0; done
        rm -rf "$house/packages"
        libraries=$(dirname "$(find "$house" -name 'libjemalloc.so*' -print -quit)")
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries" "$house/usr/bin/redis-server" > "$house/bin/redis-server"
        chmod +x "$house/bin/redis-server"
    fi
    PATH=$PATH:$house/bin
}

ARGO=github.com/argoproj/argo-workflows/v4
# Argo's controller, and kwok in place of kubelets. Its row says what is missing when they do not build.
argo() {
    local house
    house=$HOUSE/argo-$(hash_of "$PEERS"/argo/*/go.mod "$PEERS"/argo/*/go.sum)
    PATH=$PATH:$house
    [ ! -e "$house/complete" ] || return 0
    if ! command -v go > /dev/null; then return; fi
    say "building Argo's controller and kwok"
    rm -rf "$HOUSE/argo-"*
    mkdir -p "$house/crds"
    if go_build kwok "$house/kwok" sigs.k8s.io/kwok/cmd/kwok &&
        go_build controller "$house/workflow-controller" $ARGO/cmd/workflow-controller &&
        cp "$(cd "$PEERS/argo/controller" && go list -m -f '{{.Dir}}' $ARGO)"/manifests/base/crds/minimal/argoproj*.yaml "$house/crds"; then
        chmod -R u+w "$house/crds"
        touch "$house/complete"
    else
        rm -rf "$house"
    fi
}

# go_build MODULE FILE PACKAGE
go_build() { (cd "$PEERS/argo/$1" && CGO_ENABLED=0 GOTOOLCHAIN=local go build -trimpath -ldflags '-s -w' -o "$2" "$3"); }

# One round of ours. The broker stays, and so does its warmth.
ours() {
    local out=$WORK/ours status=0
    aside "$TARGET/release/orch-bench" --rows operator --rounds 1 --warm "$WARM" --graphs "$GRAPHS" --out "$out" --revision "$REVISION" \
        --kafka "$ORCH_TEST_KAFKA" --kafka-dir "$SERVERS/kafka" --api-dir "$SERVERS/api" > "$WORK/ours.log" 2>&1 || status=$?
    WARM=2
    [ "$status" = 0 ] && python3 "$PEERS/report.py" ours "$out/bench.json" >> "$ROWS"
}

# peer PYTHON ENGINE
peer() { aside "$1" "$PEERS/run_$2.py" --workers "$WORKERS" "${FILES[@]}" >> "$ROWS" 2> "$WORK/$2.log"; }

# turn ENGINE: starts it, one round of each graph, ends it
turn() {
    say "round $ROUND of $(rounds_of "$1"): $1"
    if [ "$1" = ours ]; then
        ours
    elif [ "$1" = argo ]; then
        peer python3 "$1"
    elif [ -e "$(house_of "$1")/complete" ]; then
        peer "$(house_of "$1")/bin/python" "$1"
    fi
}

mkdir -p "$WORK" "$HOUSE" "$OUT"
if [ -z "${GRAPHS:-}" ]; then
    GRAPHS=$WORK/graphs
    python3 "$PEERS/graph.py" "$GRAPHS"
fi
FILES=("$GRAPHS"/*.tsv.gz)
[ -f "${FILES[0]}" ] || die "$GRAPHS has no file NAME.tsv.gz"
for engine in $ENGINES; do [ ! -f "$PEERS/requirements/$engine.txt" ] || install "$engine"; done
if wanted celery; then redis; fi
if wanted argo; then argo; fi
if wanted argo || wanted ours; then local/node/build.sh etcd kube-apiserver kube-controller-manager kubectl; fi
if wanted ours; then
    cargo build --release --locked --workspace --bins
    export ORCH_BIN_DIR=$TARGET/release
    start_servers api kafka
fi

for ((ROUND = 1; ROUND <= ROUNDS; ROUND++)); do
    for engine in $ENGINES; do
        if [ "$ROUND" -gt "$(rounds_of "$engine")" ]; then continue; fi
        turn "$engine" || {
            FAILED="$FAILED $engine"
            echo "{\"engine\": \"$engine\", \"skipped\": \"a round failed\"}" >> "$ROWS"
            tail -n 20 "$WORK/$engine.log" >&2
        }
    done
done
python3 "$PEERS/report.py" table "$ROWS" "$OUT/peers.json" "$REVISION"
[ -z "$FAILED" ] || die "these failed, in a round each:$FAILED"
