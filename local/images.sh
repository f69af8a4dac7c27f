#!/usr/bin/env bash
# Make the two images and give them to the running cluster:
#   images.sh [--bin-dir DIR]   on the real node: from binaries that are built (default: cargo's dev profile)
#   images.sh --kind            with a container engine, from the Dockerfile
set -euo pipefail
. "$(dirname "$0")/kind/lib.sh"

rootfs() {
    local libc dir
    libc=$(dpkg-query -W -f '${Version}' libc6) # the binaries were linked with this one
    dir=$CACHE/rootfs/$(printf '%s' "$libc" | cat - "$ROOT/local/mkrootfs.sh" | sha256 | cut -c1-12)
    [ -d "$dir" ] || "$ROOT/local/mkrootfs.sh" "$dir"
    echo "$dir"
}

# image NAME BINARY: without debug information, which is nine tenths of a dev binary; function names stay
image() {
    local bin=$BIN_DIR/$2 tar=$CACHE/images/$2.tar stripped
    [ -x "$bin" ] || die "$bin is not built"
    stripped=$(mktemp)
    strip --strip-debug -o "$stripped" "$bin"
    chmod 755 "$stripped"
    mkdir -p "$CACHE/images"
    "$ROOT/local/mkimage.py" --name "$1" --rootfs "$ROOTFS" --file "$stripped:/$2" --entrypoint "/$2" --out "$tar" > /dev/null
    rm "$stripped"
    "$ROOT/local/node/import.sh" "$tar"
    say "$1 ($(du -h "$tar" | cut -f1)) in the node"
}

for_node() {
    ROOTFS=$(rootfs)
    image "$OPERATOR_IMAGE" orch-operator
    image "$WORKER_IMAGE" orch-worker
}

# One Dockerfile, a target an image. An archive, because `kind load docker-image` does not know podman's store.
for_kind() {
    local engine tar name
    engine=$(engine)
    tar=$(mktemp -d)/images.tar
    "$engine" build --build-arg PROFILE=dev --target operator -t "$OPERATOR_IMAGE" "$ROOT"
    "$engine" build --build-arg PROFILE=dev --target worker -t "$WORKER_IMAGE" "$ROOT"
    for name in "$OPERATOR_IMAGE" "$WORKER_IMAGE"; do
        rm -f "$tar"
        "$engine" save -o "$tar" "$name"
        kind load image-archive --name "$KIND_NAME" "$tar"
        say "$name in kind"
    done
    rm -r "$(dirname "$tar")"
}

case ${1:-} in
--kind) for_kind ;;
--bin-dir) BIN_DIR=${2:?a folder} && for_node ;;
'') BIN_DIR=$TARGET/debug && for_node ;;
*) die "unknown option $1" ;;
esac
