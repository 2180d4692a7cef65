#!/bin/sh
# Makes the certificates of the tests anew: ./make.sh, with openssl 3. They are valid for a hundred years.
set -e
cd "$(dirname "$0")"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
authority() {
    key "$1"
    openssl req -x509 -new -key "$1.key" -days 36500 -subj "/CN=$1" -out "$1.pem"
}
# certificate NAME AUTHORITY SUBJECT-ALTERNATIVE-NAMES
certificate() {
    key "$1"
    printf 'basicConstraints=critical,CA:FALSE\nsubjectAltName=%s\n' "$3" > extensions
    openssl req -new -key "$1.key" -subj "/CN=$1" |
        openssl x509 -req -CA "$2.pem" -CAkey "$2.key" -days 36500 -extfile extensions -out "$1.pem" 2>/dev/null
}
authority authority
authority stranger
certificate proxy authority URI:sip:ims.test,URI:sip:pcscf.ims.test,DNS:other.test,IP:127.0.0.2,IP:10.9.0.1
certificate core authority DNS:Scscf.ims.test,DNS:icscf.ims.test,DNS:*.wild.test,IP:127.0.0.1
certificate phone authority URI:sip:alice@ims.test
certificate foreign stranger URI:sip:ims.test
rm -f extensions *.srl authority.key stranger.key
