#!/usr/bin/env bash
# `make demo`: Objets.json from nothing to Succeeded on this machine, then with an object that fails.
# Needs Rust and a C linker; installs nothing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

check_tools() {
    local wanted missing=''
    wanted=$(rust_version)
    if ! command -v cargo > /dev/null; then
        missing=1
        echo "missing: Rust $wanted or newer     curl -sSfo rustup-init.sh https://sh.rustup.rs && sh rustup-init.sh"
    elif ! at_least "$wanted" "$(cargo --version | sed 's/^cargo \([0-9.]*\).*/\1/')"; then
        missing=1
        echo "too old: $(cargo --version); Rust $wanted or newer is needed     rustup update stable"
    fi
    if ! command -v cc > /dev/null; then
        missing=1
        echo "missing: a C compiler and linker     $(linker_line)"
    fi
    [ -z "$missing" ] || die "install what is missing, then run \`make demo\` again"
}

linker_line() {
    if [ "$(uname -s)" = Darwin ]; then
        echo "xcode-select --install"
    elif command -v dnf > /dev/null; then
        echo "dnf install gcc"
    elif command -v pacman > /dev/null; then
        echo "pacman -S gcc"
    else
        echo "apt-get install gcc libc6-dev"
    fi
}

# run EXPECTED ARGUMENT...: shows the command, and insists on its exit status
run() {
    local expected=$1 status=0
    shift
    printf '\n$ orch %s\n' "$*"
    "$TARGET/debug/orch" "$@" || status=$?
    [ "$status" = "$expected" ] || die "\`orch $*\` ended with exit status $status, not $expected"
}

check_tools
echo "Building orch without its Kafka and cluster features, into $TARGET"
cargo build --locked -p orch-cli --no-default-features
run 0 run Objets.json
run 1 run Objets.json --fail 2005
cat << END

The second run was told to fail object 2005: everything that needs 2005 is blocked by it, the rest is loaded, and the
exit status is 1. Next:

  export PATH="$TARGET/debug:\$PATH"
  orch graph Objets.json              # also -o dot, mermaid, json
  orch run examples/objects/small.yaml
  make test                           # everything that this machine can test
  make cluster-up                     # the same in a real cluster: README.md
END
