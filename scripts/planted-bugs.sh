#!/usr/bin/env bash
# `make planted-bugs`: each patch of e2e/planted/ puts one bug into a copy of the tree, and the program that its line
# `Caught by:` names must find it. Ends with a table; fails when a bug is not found.
#   BUGS="skip-the-dedup ..."   only these
#   SEEDS=5000                  seeds that the simulator plays at most; the default is 1,000
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Outside of the checkout, whose own build is not disturbed.
WORK=$TARGET/planted COPY=$TARGET/planted/tree
export CARGO_TARGET_DIR=$WORK/target
MISSED=''

# The copy's files are as new as the copy: cargo judges by times, and the last build here had a bug in it.
copy() {
    rm -rf "$COPY"
    mkdir -p "$COPY"
    git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create | tar -xmC "$COPY"
}

# --- what catches bugs: each leaves its words in the file $1, says in SEED how to see it again, and fails when it found one

simulator() {
    (cd "$COPY" && cargo test --locked -p orch-runner --test sim --no-run) > "$1" 2>&1 || die "it does not build: see $1"
    local result=0
    (cd "$COPY" && cargo test --locked -p orch-runner --test sim -- whatever_breaks) >> "$1" 2>&1 || result=1
    SEED=$(sed -n 's/^seed \([0-9]*\):.*/\1/p' "$1" | head -n 1)
    return $result
}

# With the faults that the patch names: few are enough, when they are the right ones.
chaos() {
    local result=0
    (cd "$COPY" && KINDS=$FAULTS_OF_IT OBJECTS=2000 FAULTS=12 RECOVERED_WITHIN=30 scripts/chaos.sh) > "$1" 2>&1 || result=1
    grep -q '^seed ' "$1" || die "chaos did not begin: see $1"
    SEED=$(sed -n 's/^seed \([0-9]*\).*/\1/p' "$1" | head -n 1)
    return $result
}

# --- one bug

row() { printf '%-36s %-10s %6s %8s\n' "$@" | tee -a "$WORK/table"; }

try() {
    local patch=$1 name catcher begin=$SECONDS result=caught
    name=$(basename "$patch" .patch)
    catcher=$(sed -n 's/^Caught by: //p' "$patch")
    FAULTS_OF_IT=$(sed -n 's/^Faults: //p' "$patch")
    SEED=-
    patch --quiet --no-backup-if-mismatch -d "$COPY" -p1 < "$patch"
    if "$catcher" "$WORK/$name.log"; then result=missed MISSED="$MISSED $name"; fi
    patch --quiet --no-backup-if-mismatch -d "$COPY" -p1 --reverse < "$patch"
    row "$name" "$([ $result = caught ] && echo "$catcher" || echo NOBODY)" "${SEED:--}" $((SECONDS - begin))
}

mkdir -p "$WORK"
export SEEDS=${SEEDS:-1000}
copy
: > "$WORK/table"
row "planted bug" "caught by" seed seconds
# Whoever cries wolf catches everything.
simulator "$WORK/nothing.log" || die "the simulator fails where no bug is planted: see $WORK/nothing.log"
FAULTS_OF_IT=$(sed -n 's/^Faults: //p' e2e/planted/*.patch | paste -s -d ' ' -)
chaos "$WORK/nothing.log" || die "chaos fails where no bug is planted: see $WORK/nothing.log"
row "(none)" nobody - "$SECONDS"
for patch in e2e/planted/*.patch; do
    case " ${BUGS:-$(basename "$patch" .patch)} " in *" $(basename "$patch" .patch) "*) try "$patch" ;; esac
done
printf '\n'
cat "$WORK/table"
[ -z "$MISSED" ] || die "nobody caught:$MISSED; the logs are in $WORK"
