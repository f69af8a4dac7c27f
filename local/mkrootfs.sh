#!/usr/bin/env bash
# A root folder for a dynamically linked glibc program, from Debian packages, without a container engine: mkrootfs.sh DIR
# Better than copying what `ldd` prints, which misses name service modules and certificates.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

PACKAGES="libc6 libgcc-s1 ca-certificates busybox-static"

unpack() {
    local out=$1 debs deb
    debs=$(mktemp -d)
    # shellcheck disable=SC2086 # a list
    (cd "$debs" && apt-get -qq -o APT::Sandbox::User=root download $PACKAGES) ||
        die "apt-get could not download $PACKAGES; as root: apt-get update"
    for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$out"; done
    rm -r "$debs"
}

# What a program at run time has no use for
trim() {
    local root=${1:?}
    rm -rf "$root"/usr/share/{doc,man,locale,lintian,bug,doc-base} "$root"/usr/lib/*/gconv "${root:?}"/{bin,sbin,usr/sbin,usr/bin}
}

# A shell and the usual tools for the exec processor: one static program under many names
add_shell() {
    local name
    mkdir "$1/bin"
    mv "$1/busybox" "$1/bin/busybox"
    for name in $("$1/bin/busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "$1/bin/$name"
    done
    ln -s ../bin "$1/usr/bin" # scripts begin with /usr/bin/env
}

# The loader's path is fixed in every binary; in newer releases a package that is not here links it.
link_usr() {
    local dir
    for dir in lib lib64; do
        if [ -d "$1/usr/$dir" ] && [ ! -e "$1/$dir" ]; then ln -s "usr/$dir" "$1/$dir"; fi
    done
}

# What the packages' own scripts would do, which do not run here
configure() {
    mkdir -p "$1"/{etc/ssl/certs,tmp,proc,dev,sys,home/nonroot}
    chmod 1777 "$1/tmp"
    cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"
    rm -r "$1/usr/share/ca-certificates"
    printf '%s\n' root:x:0:0::/root:/sbin/nologin nonroot:x:65532:65532::/home/nonroot:/sbin/nologin > "$1/etc/passwd"
    printf '%s\n' root:x:0: nonroot:x:65532: > "$1/etc/group"
    echo 'hosts: files dns' > "$1/etc/nsswitch.conf"
}

out=${1:?a folder to make}
part=$out.$$
mkdir -p "$part"
unpack "$part"
mv "$(find "$part" -name busybox -type f -perm -u+x)" "$part/busybox"
trim "$part"
add_shell "$part"
link_usr "$part"
configure "$part"
if [ -d "$out" ]; then rm -r "$part"; else mv "$part" "$out"; fi
