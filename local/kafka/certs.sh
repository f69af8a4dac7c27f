# A throw-away authority and certificates for brokers and clients. Sourced by secure.sh.
# shellcheck shell=bash

# make_certs DIR ADDRESS: clients check the broker's name, so every name that one may use is in its certificate
make_certs() {
    local dir=$1 names="DNS:localhost,DNS:host.local,IP:127.0.0.1,IP:$2" name
    [ ! -f "$dir/done" ] || return 0
    mkdir -p "$dir"
    (
        cd "$dir" || exit
        umask 077
        certs_authority ca
        certs_authority other-ca # what a client with the wrong authority trusts
        for name in broker orchestrator stranger; do certs_leaf "$name" 30 "$names"; done
        certs_leaf expired 0 "$names"
    )
    touch "$dir/done"
}

CERTS_KEY="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

certs_authority() {
    # shellcheck disable=SC2086 # a list of options
    openssl req -x509 $CERTS_KEY -days 30 -subj "/CN=$1" -keyout "$1.key" -out "$1.crt" 2> /dev/null
}

# certs_leaf CN DAYS NAMES: NAME.crt and NAME.key for librdkafka, NAME.pem (both) for Kafka, which wants PKCS#8
certs_leaf() {
    # shellcheck disable=SC2086
    openssl req $CERTS_KEY -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2> /dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "$2" -extfile "$1.ext" -out "$1.crt" 2> /dev/null
    cat "$1.key" "$1.crt" > "$1.pem"
    rm "$1.csr" "$1.ext"
}
