#!/usr/bin/env bash
# karta ca and karta cert beside OpenSSL and GnuTLS: chains, CRLs, OCSP, time-stamps and requests, both ways; a CA whose key
# lives in SoftHSM2; renewal and roll-over.
#   KARTA_BIN=build/release/bin bash tests/interop/ca.sh
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/cardless_lib.sh"
root=root-passphrase ca=ca-passphrase
both=$root$'\n'$ca

step "a root and an issuing CA, each with the record of its ceremony"
run with $root ca init root --subject "CN=Test Root,O=Test,C=XX" --participant "Operator A" --participant "Operator B"
run with "$both" ca init ca --issuer root --subject "CN=Test Issuing CA,O=Test,C=XX" --key-type p256
says "ceremony.txt"
digest=$(openssl x509 -in root/certificate.pem -noout -fingerprint -sha256 | sed 's/.*=//')
cp root/ceremony.txt out
says "$digest"
says "Operator B"
run openssl verify -CAfile root/certificate.pem ca/certificate.pem
ends 66 "$karta" ca list nowhere
ends 77 with wrong ca crl root

step "requests of openssl and of karta; a certificate of every profile, read by OpenSSL and GnuTLS"
run openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr \
  -subj "/CN=Sample" -addext "subjectAltName=DNS:host.example,IP:192.0.2.7"
run with $ca ca request --subject "CN=host.example" --san dns:host.example --key-out own.key --key-type rsa-3072 --out own.csr
run openssl req -in own.csr -noout -verify
for profile in $("$karta" ca profiles | cut -d ' ' -f 1); do
  issuer=ca secret=$ca
  case $profile in
    root-ca) continue ;;
    issuing-ca) issuer=root secret=$root subject="CN=Another CA,O=Test,C=XX" ;;
    qualified-63fz) subject="CN=Sample,SNILS=00000000000,INN=000000000000" ;;
    qualified-eidas) subject="CN=Sample,SN=Sample,GN=Sample,serialNumber=PNOXX-0,C=XX" ;;
    document-signer) subject="CN=Agency,O=Test,C=XX" ;;
    *) subject="CN=Sample $profile" ;;
  esac
  run with "$secret" ca issue $issuer --request leaf.csr --profile "$profile" --subject "$subject" --out "$profile.pem"
  run openssl x509 -in "$profile.pem" -noout -text
  case $profile in
    qualified-eidas) says "qcStatements" ;;
    tls-server) says "DNS:host.example, IP Address:192.0.2.7" ;;
  esac
  run certtool -i --infile "$profile.pem"
  run openssl verify -CAfile root/certificate.pem -untrusted ca/certificate.pem "$profile.pem"
  run "$karta" cert verify "$profile.pem" --anchor root/certificate.pem --intermediate ca/certificate.pem
  run "$karta" cert show "$profile.pem" --json
done

step "CRLs of karta: openssl checks the chain with them"
leaf=everyday.pem
run with $root ca crl root --out root.crl
run with $ca ca crl ca --out ca.crl
openssl crl -in root.crl -inform DER >crls.pem
openssl crl -in ca.crl -inform DER >>crls.pem
run openssl crl -in ca.crl -inform DER -CAfile ca/certificate.pem -noout
run openssl verify -crl_check_all -CAfile root/certificate.pem -untrusted ca/certificate.pem -CRLfile crls.pem $leaf
run "$karta" cert verify $leaf --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl --crl ca.crl
says "revocation: good, CRL 1 of"
run "$karta" ca revoke ca $leaf --reason certificateHold
run with $ca ca crl ca --delta --out delta.crl
run openssl crl -in delta.crl -inform DER -noout -text
says "Delta CRL Indicator"
says "Certificate Hold"
ends 1 "$karta" cert verify $leaf --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl --crl ca.crl \
  --crl delta.crl
says "certificateHold"
run "$karta" ca revoke ca $leaf --reason removeFromCRL
run "$karta" ca revoke ca $leaf --reason keyCompromise
run with $ca ca crl ca --out ca2.crl
openssl crl -in root.crl -inform DER >crls.pem
openssl crl -in ca2.crl -inform DER >>crls.pem
ends 2 openssl verify -crl_check_all -CAfile root/certificate.pem -untrusted ca/certificate.pem -CRLfile crls.pem $leaf
says "certificate revoked"
ends 1 "$karta" cert verify $leaf --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl --crl ca2.crl --json
says '"fault": "revoked"'
says '"schema": "karta.cert.verify/1"'
ends 2 "$karta" cert verify $leaf --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl
says "revocation-unknown"
ends 2 "$karta" cert verify $leaf
says "no-trust-data"

step "OCSP answers of karta, by the CA and by a responder: openssl takes them"
good=authentication.pem
run with $ca ca request --subject "CN=Responder" --key-out ocsp.key --key-type p256 --out ocsp.csr
run with $ca ca issue ca --request ocsp.csr --profile ocsp --out responder.pem
for one in $good:good $leaf:revoked; do
  certificate=${one%:*} state=${one#*:}
  run openssl ocsp -issuer ca/certificate.pem -cert "$certificate" -reqout request.der
  for signer in "" "--key ocsp.key --certificate responder.pem"; do
    rm -f answer.der
    # shellcheck disable=SC2086
    run with $ca ca ocsp ca --request request.der --out answer.der $signer
    # -no_nonce: the request read in has one already, and openssl would add another.
    run openssl ocsp -reqin request.der -no_nonce -respin answer.der -issuer ca/certificate.pem -cert "$certificate" \
      -CAfile root/certificate.pem -verify_other ca/certificate.pem
    says "Response verify OK"
    says "$certificate: $state"
    want=0
    [ $state = good ] || want=1
    ends $want "$karta" cert verify "$certificate" --anchor root/certificate.pem --intermediate ca/certificate.pem \
      --crl root.crl --ocsp answer.der
    says "the OCSP answer"
  done
done
run with $ca ca ocsp ca --out answers
run openssl ocsp -respin "$(find answers -name '*.ocsp' -print -quit)" -noverify -resp_text
says "OCSP Response Status: successful"

step "OCSP answers and CRLs of openssl: karta takes them"
openssl pkey -in ca/key.pem -passin pass:$ca -out ca.plain
serial=$(openssl x509 -in $good -noout -serial | sed 's/.*=//')
printf 'R\t301231235959Z\t250101000000Z,keyCompromise\t%s\tunknown\t/CN=Sample\n' "$serial" >index.txt
run openssl ocsp -issuer ca/certificate.pem -cert $good -reqout request.der
run openssl ocsp -index index.txt -CA ca/certificate.pem -rsigner ca/certificate.pem -rkey ca.plain -reqin request.der \
  -respout theirs.der -ndays 1
ends 1 "$karta" cert verify $good --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl --ocsp theirs.der
says "keyCompromise"
cat >openssl.cnf <<'CNF'
[ca]
default_ca = c
[c]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 7
CNF
echo 01 >crlnumber
run openssl ca -config openssl.cnf -gencrl -keyfile ca.plain -cert ca/certificate.pem -out theirs.crl
ends 1 "$karta" cert verify $good --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl --crl theirs.crl
says "keyCompromise"

step "time-stamps of karta: openssl verifies them"
run with $ca ca request --subject "CN=Test TSA" --key-out tsa.key --key-type p256 --out tsa.csr
run with $ca ca issue ca --request tsa.csr --profile tsa --out tsa-own.pem
cat tsa-own.pem ca/certificate.pem >tsa-chain.pem
echo "a contract" >contract
for options in "-sha256 -cert" "-sha512 -no_nonce" "-sha384 -cert -tspolicy 2.999.3"; do
  rm -f answer.tsr
  # shellcheck disable=SC2086
  run openssl ts -query -data contract $options -out query.tsq
  run with $ca ca timestamp query.tsq --key tsa.key --certificate tsa-chain.pem --policy 2.999.3 --out answer.tsr
  run openssl ts -verify -queryfile query.tsq -in answer.tsr -CAfile root/certificate.pem -untrusted tsa-chain.pem
  says "Verification: OK"
done
rm -f answer.tsr
run openssl ts -query -data contract -sha256 -tspolicy 2.999.4 -out query.tsq
run with $ca ca timestamp query.tsq --key tsa.key --certificate tsa-chain.pem --policy 2.999.3 --out answer.tsr
says "unacceptedPolicy"
run openssl ts -reply -in answer.tsr -text
says "Status: Rejected"

step "a trust list, signed by a document signer under the root"
run with $root ca request --subject "CN=Trust Lists,O=Test,C=XX" --key-out lists.key --key-type p256 --out lists.csr
run with $root ca issue root --request lists.csr --profile document-signer --out lists.pem
run with $root ca trust-list qualified-ca=ca/certificate.pem time-stamp=tsa-own.pem --sequence 1 --key lists.key \
  --certificate lists.pem --out trust.p7m
run openssl cms -verify -inform DER -in trust.p7m -CAfile root/certificate.pem -purpose any -out trust.json
cp trust.json out
says '"schema": "karta.trust-list/1"'

step "renewal, and roll-over to a new key: who knows one root follows the links to the other"
cp root/certificate.pem old-root.pem
run with $root ca renew root
run openssl verify -CAfile root/certificate.pem ca/certificate.pem
run with $root$'\n'new-passphrase ca roll-over root --participant "Operator A"
run with new-passphrase ca issue root --request own.csr --profile tls-server --out after.pem
run openssl verify -CAfile old-root.pem -untrusted root/roll-over.pem after.pem
run "$karta" cert verify after.pem --anchor old-root.pem --intermediate root/roll-over.pem
run "$karta" cert verify ca/certificate.pem --anchor root/certificate.pem --intermediate root/roll-over.pem
ends 1 "$karta" cert verify after.pem --anchor old-root.pem
says "certificate-signature"

step "a CA whose key lives in SoftHSM2"
mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\n' "$work" >softhsm.conf
export SOFTHSM2_CONF=$work/softhsm.conf
run softhsm2-util --init-token --free --label "Test HSM" --pin 1234 --so-pin 5678
module=$(find /usr/lib -name libsofthsm2.so -print -quit)
for kind in p256 p384 rsa-3072 ed25519; do
  uri="pkcs11:token=Test%20HSM;object=$kind?module-path=$module"
  profile=root-ca
  if [ $kind = ed25519 ] || [ $kind = rsa-3072 ]; then
    rm -rf own-profiles
    run "$karta" ca profiles --write own-profiles
    awk '/^key_types/ { skip = 1 } !skip { print } /\]/ { skip = 0 }' own-profiles/root-ca.toml >own.toml
    mv own.toml own-profiles/root-ca.toml
    profile=own-profiles/root-ca.toml
  fi
  run with 1234 ca init "hsm-$kind" --subject "CN=HSM Root $kind,O=Test,C=XX" --key-type $kind --key "$uri" --profile $profile
  [ ! -e "hsm-$kind/key.pem" ] || no "a key in a token leaves no file"
  run openssl verify -check_ss_sig -CAfile "hsm-$kind/certificate.pem" "hsm-$kind/certificate.pem"
  run with 1234 ca issue "hsm-$kind" --request leaf.csr --profile authentication --out "hsm-$kind.pem"
  run openssl verify -CAfile "hsm-$kind/certificate.pem" "hsm-$kind.pem"
  run with 1234 ca crl "hsm-$kind" --out "hsm-$kind.crl"
  ends 77 with 9999 ca crl "hsm-$kind"
  says "the PIN is wrong"
  # A key in a token gets its successor in the token: the PIN for the old one, and for the new one.
  cp "hsm-$kind/certificate.pem" "hsm-$kind.old"
  ends 64 with 1234 ca roll-over "hsm-$kind" --profile $profile
  says "in a token"
  run with 1234$'\n'1234 ca roll-over "hsm-$kind" --profile $profile --key "${uri/object=$kind/object=next-$kind}" --participant "Operator A"
  grep -q "object=next-$kind" "hsm-$kind/ca.toml" || no "ca.toml names the old key"
  run with 1234 ca issue "hsm-$kind" --request leaf.csr --profile authentication --out "hsm-$kind-next.pem"
  run openssl verify -CAfile "hsm-$kind/certificate.pem" "hsm-$kind-next.pem"
  run openssl verify -CAfile "hsm-$kind.old" -untrusted "hsm-$kind/roll-over.pem" "hsm-$kind-next.pem"
  run openssl verify -CAfile "hsm-$kind/certificate.pem" -untrusted "hsm-$kind/roll-over.pem" "hsm-$kind.pem"
  grep -q "Operator A" "hsm-$kind"/ceremony-*.txt || no "the ceremony left no record"
done
echo "all steps passed"
