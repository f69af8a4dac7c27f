# Settings of the kind cluster. Sourced.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../node/lib.sh"
. "$ROOT/local/settings.sh"
export KUBECONFIG=$RUN/kubeconfig
if [ "$(engine)" = podman ]; then export KIND_EXPERIMENTAL_PROVIDER=podman; fi
