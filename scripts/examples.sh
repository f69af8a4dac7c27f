#!/usr/bin/env bash
# `make examples`: what the examples promise without a server, and the tests of what is written in Python.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

(cd examples/external-worker && python3 -m unittest)
(cd bench/peers && python3 -m unittest)
cargo build --locked --quiet -p orch-cli --no-default-features

# runs_in FILE: the names of its PipelineRuns, where it holds more than one
runs_in() { awk '/^kind: PipelineRun/ { run = 1 } run && /^  name:/ { names[n++] = $2; run = 0 } END { for (i in names) if (n > 1) print names[i] }' "$1"; }

validate() { "$TARGET/debug/orch" validate "$@" || die "\`orch validate $*\` refuses it"; }

for file in Objets.json examples/*/*.yaml; do
    names=$(runs_in "$file")
    if [ -z "$names" ]; then validate "$file"; fi
    for name in $names; do validate "$file" --run "$name"; done
done

# The build of `make demo` has no http processor, and says so.
refused=$("$TARGET/debug/orch" run - 2>&1 <<< '[{"id": "a", "processor": {"http": {"url": "http://localhost/"}}}]') && die "orch without the feature http runs http"
case $refused in
*'needs the processor http, which this build of orch does not have'*) ;;
*) die "orch without the feature http says: $refused" ;;
esac

# Manifests in the pages: fenced blocks that begin with an apiVersion.
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
awk -v folder="$pages" '
    /^```/ { fenced = !fenced; first = fenced; if (!fenced) close(file); file = ""; next }
    fenced && first && /^apiVersion:/ { file = folder "/" ++n ".yaml" }
    { first = 0 }
    fenced && file != "" { print > file }
' README.md docs/*.md
for file in "$pages"/*.yaml; do validate "$file"; done
