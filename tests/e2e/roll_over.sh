# The centre's own authorities: renewed, and rolled over to new keys, with the links that carry trust, the records of the
# ceremonies, and CRLs, partitioned ones too, that OpenSSL and karta go on accepting for certificates of either key.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work"
unset KARTA_DIR
with() { # secrets, one a line, then karta's words
  local secrets=$1
  shift
  karta "$@" --passphrase-fd 3 3<<<"$secrets"
}
one=$passphrase
two=$one$'\n'$one
three=$two$'\n'$one

step "a centre, and two certificates of its issuing authority"
run karta init c --country XX --passphrase-fd 3 3<<<"$passphrase"
export KARTA_DIR=$work/c
request() { run karta ca request --subject "CN=$1.example" --san "dns:$1.example" --key-out "$1.key" --key-type p256 --out "$1.csr" --passphrase-fd 3 3<<<"key-passphrase"; }
issue() { run with "$one" ca issue centre:issuing --request "$1.csr" --profile tls-server --out "$1.pem"; }
for name in old revoked new; do request $name; done
issue old
issue revoked
cp c/ca/root.crt.pem root1.pem
cp c/ca/issuing.crt.pem issuing1.pem
run openssl verify -CAfile root1.pem -untrusted issuing1.pem old.pem

step "the wrong passphrase makes no key"
ends 77 with "$one"$'\n'"$one"$'\n'"another passphrase" ca roll-over centre:issuing --issuer centre:root
cmp c/ca/issuing.crt.pem issuing1.pem || no "a refused roll-over changed the certificate"

step "the issuing authority gets a new key"
run with "$three" ca roll-over centre:issuing --issuer centre:root --participant "Operator A" --participant "Operator B"
! cmp -s c/ca/issuing.crt.pem issuing1.pem || no "the certificate is the old one"
[ "$(stat -c %a c/keys/issuing.key.pem)" = 600 ] || no "the new key can be read by others"
record=$(find c/authorities/issuing -name 'ceremony-*.txt')
cp "$record" "$work/out"
fingerprint=$(openssl x509 -in c/ca/issuing.crt.pem -noout -fingerprint -sha256)
says "the key of a CA was rolled over" "Operator A" "Operator B" "also issued" "${fingerprint#*=}"
issue new
run openssl verify -CAfile root1.pem -untrusted c/ca/issuing.crt.pem new.pem
run openssl verify -CAfile root1.pem -untrusted issuing1.pem old.pem
# Who trusts the issuing authority of one generation directly follows the link to the other.
run openssl verify -partial_chain -CAfile issuing1.pem -untrusted c/authorities/issuing/roll-over.pem new.pem
run openssl verify -partial_chain -CAfile c/ca/issuing.crt.pem -untrusted c/authorities/issuing/roll-over.pem old.pem
run karta cert verify new.pem --anchor issuing1.pem --intermediate c/authorities/issuing/roll-over.pem
run karta cert verify old.pem --anchor c/ca/issuing.crt.pem --intermediate c/authorities/issuing/roll-over.pem

step "one list of the new key speaks of the certificates of both"
run karta ca revoke centre:issuing revoked.pem --reason superseded
run with "$one" ca crl centre:issuing --out issuing.crl
run with "$one" ca crl centre:root --out root.crl
judge() { karta cert verify "$1" --anchor root1.pem --intermediate issuing1.pem --intermediate c/ca/issuing.crt.pem --crl issuing.crl --crl root.crl; }
run judge old.pem
run judge new.pem
ends 1 judge revoked.pem
says "superseded"

step "partitioned lists: certificates of people and servers, and of authorities"
run with "$one" ca crl centre:issuing --only user --out user.crl
run with "$one" ca crl centre:root --only ca --out ca.crl
for list in user ca; do
  run openssl crl -in $list.crl -inform DER -noout -text
  says "Issuing Distribution Point"
done
openssl crl -in user.crl -inform DER >crls.pem
openssl crl -in ca.crl -inform DER >>crls.pem
run openssl verify -crl_check_all -extended_crl -CAfile root1.pem -untrusted c/ca/issuing.crt.pem -CRLfile crls.pem new.pem
run karta cert verify new.pem --anchor root1.pem --intermediate c/ca/issuing.crt.pem --crl user.crl --crl ca.crl
says "revocation: good"
# A list of people says nothing of authorities.
ends 2 karta cert verify new.pem --anchor root1.pem --intermediate c/ca/issuing.crt.pem --crl user.crl
says "revocation-unknown"

step "the root is renewed, then gets a new key: old and new lead to each other"
run with "$two" ca renew centre:root
run openssl verify -CAfile c/ca/root.crt.pem -untrusted issuing1.pem old.pem
run with "$two" ca roll-over centre:root --participant "Operator A"
run with "$one" ca issue centre:root --request new.csr --profile tls-server --out under-root.pem
run openssl verify -CAfile root1.pem -untrusted c/authorities/root/roll-over.pem under-root.pem
run karta cert verify under-root.pem --anchor root1.pem --intermediate c/authorities/root/roll-over.pem
cat c/authorities/root/roll-over.pem issuing1.pem >between.pem
run openssl verify -CAfile c/ca/root.crt.pem -untrusted between.pem old.pem
run karta cert verify old.pem --anchor c/ca/root.crt.pem --intermediate c/authorities/root/roll-over.pem --intermediate issuing1.pem
ends 1 karta cert verify old.pem --anchor c/ca/root.crt.pem --intermediate issuing1.pem

step "what was signed before is judged by the centre as it is now"
run openssl pkey -in old.key -passin pass:key-passphrase -out old.plain
echo "a contract" >contract
run openssl cms -sign -binary -in contract -outform DER -out contract.p7s -signer old.pem -inkey old.plain -nocerts
# A server's certificate signs no documents; a path is found all the same.
ends 2 karta verify contract.p7s --json
says '"no-signing-certificate"'
run openssl cms -sign -binary -in contract -outform DER -out contract2.p7s -signer old.pem -inkey old.plain
ends 2 karta verify contract2.p7s --content contract --json
says '"CHAIN_CONSTRAINTS_FAILURE"'
echo "all steps passed"
