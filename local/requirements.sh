#!/usr/bin/env bash
# What each level of tests needs on this machine:
#   requirements.sh check LEVEL            says what is missing and the line that installs it; exit status 1 if anything is
#   YES=1 requirements.sh install LEVEL    on Debian as root: installs the packages with apt-get; else lists them only
# LEVEL: any      unit tests, local runs             kafka    with a real broker
#        api      with a real API server             cluster  pods: a real node (Linux, root, Debian), or an engine with kind
# Never sudo, and never a download that is run unseen.
set -euo pipefail
. "$(dirname "$0")/kind/lib.sh"

PACKAGES='' MISSING=''

# need WHAT PACKAGE OTHERWISE TEST...: PACKAGE is Debian's, '-' if there is none; OTHERWISE says how to get it elsewhere
need() {
    local what=$1 package=$2 otherwise=$3
    shift 3
    case " $PACKAGES " in *" $package "*) return ;; esac # two levels need it
    if "$@" > /dev/null 2>&1; then return; fi
    MISSING=1
    if [ "$package" = - ]; then
        printf 'missing: %-28s %s\n' "$what" "$otherwise"
    else
        PACKAGES="$PACKAGES $package"
        printf 'missing: %-28s apt-get install %s%s\n' "$what" "$package" "${otherwise:+   (elsewhere: $otherwise)}"
    fi
}

has() { command -v "$1"; }

# at_least WANTED VERSION: by major and minor number
at_least() {
    awk -v want="$1" -v have="$2" 'BEGIN { split(want, w, "."); split(have, h, "."); exit !(h[1] > w[1] || h[1] == w[1] && h[2] + 0 >= w[2] + 0) }'
}

rust_is_new() { at_least "$RUST" "$(cargo --version | sed 's/^cargo \([0-9.]*\).*/\1/')"; }
go_is_new() { at_least 1.26 "$(go version | sed 's/.*go\([0-9.]*\) .*/\1/')"; }
java_is_new() { at_least 17.0 "$(java -version 2>&1 | sed -n 's/.*version "\([0-9.]*\).*/\1.0/p')"; }
has_static_libc() { [ -n "$(find /usr/lib -maxdepth 2 -name libc.a)" ]; }

# --- levels

level_any() {
    RUST=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
    need "Rust $RUST or newer" - "https://www.rust-lang.org/tools/install" rust_is_new
    need "a C compiler and linker" "gcc libc6-dev" "macOS: xcode-select --install" has cc
    need "a C++ compiler (librdkafka)" g++ "" has c++
    need "make" make "" has make
    need "perl (OpenSSL's build)" perl "" has perl
}

level_kafka() {
    level_any
    own_kafka
}

own_kafka() {
    need "Java 17 or newer" default-jre-headless "https://adoptium.net" java_is_new
    need "Maven" maven "https://maven.apache.org/install.html" has mvn
    need "openssl" openssl "" has openssl
}

level_api() {
    level_any
    own_api
}

own_api() {
    need "Go 1.26 or newer" - "https://go.dev/doc/install" go_is_new
    need "openssl" openssl "" has openssl
}

level_cluster() {
    level_any
    if [ "$(flavour)" = kind ]; then cluster_kind; else cluster_node; fi
}

cluster_kind() {
    local name
    need "an engine that answers" - "start docker or podman" test -n "$(engine)"
    for name in kubectl helm kind; do
        # build.sh makes them from Go modules
        has "$name" > /dev/null || need "$name, or Go 1.26" - "https://go.dev/doc/install" go_is_new
    done
}

cluster_node() {
    need "Linux, as root" - "or a container engine: start docker or podman" test "$(uname -s) $(id -u)" = "Linux 0"
    need "Debian's package tools" - "or a container engine: start docker or podman" has apt-get
    own_kafka
    own_api
    local item
    for item in containerd:containerd runc:runc nft:nftables ip:iproute2 sysctl:procps curl:curl python3:python3 strip:binutils; do
        need "${item%:*}" "${item#*:}" "" has "${item%:*}"
    done
    need "CNI plugins" containernetworking-plugins "" test -x /usr/lib/cni/bridge
    need "a static C library" libc6-dev "" has_static_libc
}

# --- commands

check() {
    "level_$1"
    [ -n "$MISSING" ] || return 0
    [ -z "$PACKAGES" ] || ! has apt-get > /dev/null ||
        printf 'all packages at once, as root:  YES=1 local/requirements.sh install %s\n' "$1"
    return 1
}

install() {
    if check "$1"; then return; fi
    [ -n "$PACKAGES" ] || return 1
    if [ "${YES:-}" != 1 ] || [ "$(id -u)" != 0 ] || ! has apt-get > /dev/null; then return 1; fi
    apt-get update -qq
    # shellcheck disable=SC2086 # a list
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES
    PACKAGES='' MISSING=''
    check "$1"
}

case "${1:-} ${2:-}" in
"check any" | "check kafka" | "check api" | "check cluster" | "install any" | "install kafka" | "install api" | "install cluster") "$1" "$2" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
