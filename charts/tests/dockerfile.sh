#!/usr/bin/env bash
# Proves without a container engine that the final stages of the Dockerfile build, and that both images run their
# program as 65532:65532. The build stage is not run: it would compile everything once more.
#   charts/tests/dockerfile.sh            with stand-ins for the programs
#   charts/tests/dockerfile.sh FOLDER     with the real ones: FOLDER/orch-operator and FOLDER/orch-worker
# Needs root and the Debian packages buildah and mmdebstrap. The base image is made from Debian packages, once.
set -euo pipefail
binaries=${1:+$(cd "$1" && pwd)}
cd "$(dirname "$0")/../.."

for tool in buildah mmdebstrap; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install buildah mmdebstrap" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 2; }

cache=${ORCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kafka-orchestrator}
base=$cache/rootfs/debian-bookworm.tar
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$cache/rootfs" "$scratch/base" "$scratch/build/out"

build() { buildah --root "$scratch/storage" --runroot "$scratch/run" --storage-driver vfs "$@"; }

if [ ! -f "$base" ]; then
  mmdebstrap --quiet --variant=minbase bookworm "$base.part.tar"
  mv "$base.part.tar" "$base"
fi
ln "$base" "$scratch/base/base.tar" 2>/dev/null || cp "$base" "$scratch/base/base.tar"
printf 'FROM scratch\nADD base.tar /\n' >"$scratch/base/Dockerfile"
build bud --quiet --isolation chroot --tag docker.io/library/debian:bookworm-slim "$scratch/base" >/dev/null

# What the build stage would have left in /out.
for program in orch-operator orch-worker; do
  if [ -n "$binaries" ]; then
    cp "$binaries/$program" "$scratch/build/out/"
  else
    printf '#!/bin/sh\necho %s "$@"\n' "$program" >"$scratch/build/out/$program"
    chmod 755 "$scratch/build/out/$program"
  fi
done
echo authorities >"$scratch/build/out/ca-certificates.crt"

for target in operator worker; do
  build bud --isolation chroot --pull-never --build-context build="$scratch/build" --target "$target" \
    --tag "localhost/check/$target" . >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
  container=$(build from --pull-never "localhost/check/$target")
  user=$(build run --isolation chroot "$container" -- sh -c 'echo "$(id -u):$(id -g)"')
  [ "$user" = 65532:65532 ] || { echo "$target runs as $user"; exit 1; }
  entrypoint=$(build inspect --format '{{index .OCIv1.Config.Entrypoint 0}}' "$container")
  build run --isolation chroot "$container" -- "$entrypoint" --help >"$scratch/help" || { cat "$scratch/help"; exit 1; }
  echo "$target: built, $entrypoint ran as $user: $(head -1 "$scratch/help")"
done
# No --target: the operator.
build bud --isolation chroot --pull-never --build-context build="$scratch/build" --tag localhost/check/default . >/dev/null 2>&1
[ "$(build inspect --type image --format '{{index .OCIv1.Config.Entrypoint 0}}' localhost/check/default)" = /orch-operator ] ||
  { echo "a build without --target does not give the operator"; exit 1; }
echo "Dockerfile: 3 passed, 0 failed"
