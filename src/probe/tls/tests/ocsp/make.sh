#!/bin/sh
# Makes the certificates and OCSP responses of this directory with OpenSSL 3. The tests read them at a fixed time.
set -eu
work=$(mktemp -d)
here=$(cd "$(dirname "$0")" && pwd)
cd "$work"
cat > ca.cnf <<'C'
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[ca]
database = index.txt
certificate = ca.pem
private_key = ca.key
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
default_days = 3650
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:true
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:false
tlsfeature = status_request
[responder]
extendedKeyUsage = OCSPSigning
C
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
: > index.txt
key ca
openssl req -new -x509 -key ca.key -subj '/CN=OCSP CA' -days 3650 -config ca.cnf -extensions authority -out ca.pem
for name in leaf:leaf held:leaf responder:responder nobody:leaf; do
  key "${name%:*}"
  openssl req -new -key "${name%:*}.key" -subj "/CN=${name%:*}" -config ca.cnf -out request.csr
  openssl ca -batch -config ca.cnf -name ca -extensions "${name#*:}" -in request.csr -out "${name%:*}.pem" -notext
done
respond() { # about, signer, file, more
  about=$1 signer=$2 file=$3
  shift 3
  openssl ocsp -index index.txt -CA ca.pem -issuer ca.pem -cert "$about.pem" -rsigner "$signer.pem" \
    -rkey "$signer.key" -respout "$here/$file.der" -noverify -ndays 7 "$@"
}
respond leaf ca good
respond leaf responder delegate
respond leaf nobody not_a_responder
openssl ocsp -index index.txt -CA ca.pem -sha256 -issuer ca.pem -cert leaf.pem -rsigner ca.pem -rkey ca.key \
  -respout "$here/sha256.der" -noverify -ndays 7
cp index.txt before.txt
openssl ca -config ca.cnf -name ca -revoke leaf.pem -crl_reason keyCompromise
openssl ca -config ca.cnf -name ca -revoke held.pem -crl_reason certificateHold
respond leaf ca revoked
respond held ca held
: > index.txt
respond leaf ca unknown
for name in ca leaf; do openssl x509 -in "$name.pem" -outform DER -out "$here/$name.der"; done
openssl x509 -in held.pem -outform DER -out "$here/held_leaf.der"
rm -r "$work"
