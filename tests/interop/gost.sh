#!/usr/bin/env bash
# GOST R 34.10-2012 beside the gost engine of OpenSSL, in every parameter set of TC 26 and both ways: certificates, CRLs,
# OCSP answers, time-stamps, CMS with the content inside and beside it, key files, requests. GnuTLS reads our certificates.
#   KARTA_BIN=build/release/bin bash tests/interop/gost.sh [gost-256-a ...]
# shellcheck disable=SC1091,SC2154,SC2164
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/cardless_lib.sh"
secret=a-passphrase
# karta with the same passphrase as often as it is asked for.
unlocked() { "$karta" "$@" --passphrase-fd 9 9<<<"$secret"$'\n'"$secret"; }
signing() { "$KARTA_BIN/karta-sign" "$@" --pin-fd 9 9<<<"$secret"; }
# openssl with the engine, for this script alone.
cat >engine.cnf <<'CNF'
openssl_conf = start
[start]
engines = engines
[engines]
gost = gost
[gost]
engine_id = gost
default_algorithms = ALL
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
subjectKeyIdentifier = hash
keyUsage = critical, digitalSignature
authorityKeyIdentifier = keyid
[stamping]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
authorityKeyIdentifier = keyid
[tsa]
default_tsa = stamps
[stamps]
serial = tsa.serial
signer_cert = tsa.pem
certs = ca.pem
signer_key = tsa.key
default_policy = 2.999.3
digests = md_gost12_256, md_gost12_512, sha256
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[ca]
default_ca = books
[books]
database = index.txt
crlnumber = crlnumber
default_crl_days = 7
CNF
peer() { OPENSSL_CONF=$work/engine.cnf openssl "$@"; }
if ! peer engine -t gost >out 2>&1; then
  cat out
  no "the gost engine is not there: libengine-gost-openssl"
fi

# The same set in the words of karta, of the engine, and its hash.
sets=("gost-256-a gost2012_256 TCA md_gost12_256" "gost-256-b gost2012_256 TCB md_gost12_256"
  "gost-256-c gost2012_256 TCC md_gost12_256" "gost-256-d gost2012_256 TCD md_gost12_256"
  "gost-512-a gost2012_512 A md_gost12_512" "gost-512-b gost2012_512 B md_gost12_512"
  "gost-512-c gost2012_512 C md_gost12_512")
# CryptoPro's names of three of the curves, which older certificates have.
old_names=("gost-256-b gost2012_256 A md_gost12_256" "gost-256-c gost2012_256 B md_gost12_256"
  "gost-256-d gost2012_256 C md_gost12_256" "gost-256-b gost2012_256 XA md_gost12_256"
  "gost-256-d gost2012_256 XB md_gost12_256")
printf 'a contract\n' >contract
printf 'another contract\n' >other

ours_by_theirs() {
  local set=$1 hash=$4
  step "$set: root, issuing CA, certificates and CRLs of karta"
  run unlocked ca init root --subject "CN=Test Root $set,O=Test,C=XX" --key-type "$set"
  run unlocked ca init ca --issuer root --subject "CN=Test Issuing CA $set,O=Test,C=XX" --key-type "$set"
  run unlocked ca request --subject "CN=Sample,SNILS=00000000000,INN=000000000000" --key-out leaf.key --key-type "$set" --out leaf.csr
  run peer req -in leaf.csr -noout -verify
  run unlocked ca issue ca --request leaf.csr --profile qualified-63fz --out leaf.pem
  run peer verify -check_ss_sig -CAfile root/certificate.pem -untrusted ca/certificate.pem leaf.pem
  run peer x509 -in leaf.pem -noout -text
  says "GOST R 34.10-2012"
  run certtool -i --infile leaf.pem
  says "GOST R 34.10-2012-${set:5:3}"
  case $set in
    # The curves GnuTLS computes on.
    gost-256-b | gost-512-a)
      cat leaf.pem ca/certificate.pem root/certificate.pem >chain.pem
      run certtool --verify --verify-profile low --load-ca-certificate root/certificate.pem --infile chain.pem
      ;;
  esac
  run unlocked ca crl root --out root.crl
  run unlocked ca crl ca --out ca.crl
  { peer crl -in root.crl -inform DER && peer crl -in ca.crl -inform DER; } >crls.pem
  run peer verify -crl_check_all -CAfile root/certificate.pem -untrusted ca/certificate.pem -CRLfile crls.pem leaf.pem
  run "$karta" cert verify leaf.pem --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl --crl ca.crl
  run "$karta" cert show leaf.pem
  says "$set"

  step "$set: OCSP answers and time-stamps of karta"
  run unlocked ca request --subject "CN=Responder" --key-out ocsp.key --key-type "$set" --out ocsp.csr
  run unlocked ca issue ca --request ocsp.csr --profile ocsp --out responder.pem
  run peer ocsp -issuer ca/certificate.pem -cert leaf.pem -reqout request.der
  run unlocked ca ocsp ca --request request.der --out answer.der --key ocsp.key --certificate responder.pem
  run peer ocsp -reqin request.der -no_nonce -respin answer.der -issuer ca/certificate.pem -cert leaf.pem \
    -CAfile root/certificate.pem -verify_other ca/certificate.pem
  says "Response verify OK"
  says "leaf.pem: good"
  run "$karta" cert verify leaf.pem --anchor root/certificate.pem --intermediate ca/certificate.pem --crl root.crl --ocsp answer.der
  run unlocked ca request --subject "CN=Test TSA" --key-out tsa.key --key-type "$set" --out tsa.csr
  run unlocked ca issue ca --request tsa.csr --profile tsa --out tsa-own.pem
  cat tsa-own.pem ca/certificate.pem >tsa-chain.pem
  run peer ts -query -data contract "-$hash" -cert -out query.tsq
  run unlocked ca timestamp query.tsq --key tsa.key --certificate tsa-chain.pem --policy 2.999.3 --out answer.tsr
  run peer ts -verify -queryfile query.tsq -in answer.tsr -CAfile root/certificate.pem -untrusted tsa-chain.pem
  says "Verification: OK"

  step "$set: CMS of karta, the content beside it and inside"
  local word certificates="--certificate leaf.pem --certificate ca/certificate.pem"
  # shellcheck disable=SC2086
  run signing contract --key leaf.key $certificates
  # shellcheck disable=SC2086
  run signing contract --enveloping --key leaf.key $certificates
  for word in "contract.p7s -content contract" "contract.p7m"; do
    # shellcheck disable=SC2086
    run peer cms -verify -binary -inform DER -in $word -CAfile root/certificate.pem -purpose any -cades -out text
    run cmp text contract
  done
  ends 4 peer cms -verify -binary -inform DER -in contract.p7s -content other -CAfile root/certificate.pem -purpose any -out text
  run "$karta" verify contract.p7s contract.p7m --anchor root/certificate.pem
  says "$set"
  ends 1 "$karta" verify contract.p7s --content other --anchor root/certificate.pem

  step "$set: key files of karta, read and used by the engine"
  run peer pkey -in leaf.key -passin pass:$secret -pubout -outform DER -out theirs.spki
  peer x509 -in leaf.pem -noout -pubkey >public.pem
  run peer pkey -pubin -in public.pem -outform DER -out ours.spki
  run cmp theirs.spki ours.spki
  run peer dgst "-$hash" -sign leaf.key -passin pass:$secret -out signature contract
  run peer dgst "-$hash" -verify public.pem -signature signature contract

  if [ -e "$here/../../docs/examples/application.pdf" ] && [ "$set" = gost-256-b ]; then
    step "$set: a PDF, which karta judges itself"
    cp "$here/../../docs/examples/application.pdf" application.pdf
    # shellcheck disable=SC2086
    run signing application.pdf --key leaf.key $certificates
    run "$karta" verify application-signed.pdf --anchor root/certificate.pem
    run qpdf --check application-signed.pdf
  fi
}

theirs_by_ours() {
  local set=$1 algorithm=$2 parameters=$3 hash=$4 options
  sed -i "s/^digests = .*/&\nsigner_digest = $hash/" engine.cnf
  step "$algorithm:$parameters of the engine: certificates, CRL, OCSP answer, time-stamp"
  run peer genpkey -algorithm "$algorithm" -pkeyopt "paramset:$parameters" -out ca.key
  run peer genpkey -algorithm "$algorithm" -pkeyopt "paramset:$parameters" -out leaf.key
  run peer genpkey -algorithm "$algorithm" -pkeyopt "paramset:$parameters" -out tsa.key
  run peer req -new -x509 -config engine.cnf -key ca.key -subj "/CN=Engine $parameters" -days 30 -out ca.pem
  local one
  for one in leaf:leaf tsa:stamping; do
    run peer req -new -config engine.cnf -key "${one%:*}.key" -subj "/CN=Engine ${one%:*}" -out "${one%:*}.csr"
    run peer x509 -req -in "${one%:*}.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile engine.cnf \
      -extensions "${one#*:}" -out "${one%:*}.pem"
  done
  : >index.txt
  echo 01 >crlnumber
  run peer ca -config engine.cnf -gencrl -md "$hash" -keyfile ca.key -cert ca.pem -out theirs.crl
  run "$karta" cert verify leaf.pem --anchor ca.pem --crl theirs.crl
  run "$karta" cert show leaf.pem
  says "$set"
  printf 'V\t401231235959Z\t\t%s\tunknown\t/CN=Sample\n' "$(peer x509 -in leaf.pem -noout -serial | sed 's/.*=//')" >index.txt
  run peer ocsp -issuer ca.pem -cert leaf.pem -reqout request.der
  run peer ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin request.der -respout theirs.der -ndays 1
  run "$karta" cert verify leaf.pem --anchor ca.pem --ocsp theirs.der
  # One bit of a signature on the way: no longer.
  openssl x509 -in leaf.pem -outform DER -out leaf.der
  local octet
  octet=$(tail -c 9 leaf.der | od -An -tu1 -N 1)
  # shellcheck disable=SC2059
  printf "\\x$(printf %x $((octet ^ 1)))" | dd of=leaf.der bs=1 seek=$(($(stat -c %s leaf.der) - 9)) conv=notrunc status=none
  ends 1 "$karta" cert verify leaf.der --anchor ca.pem
  says "certificate-signature"

  step "$algorithm:$parameters of the engine: CMS in every form"
  for options in "" "-cades" "-nodetach" "-nodetach -stream" "-noattr" "-nodetach -noattr" "-keyid"; do
    rm -f made.p7s
    # shellcheck disable=SC2086
    run peer cms -sign -binary -in contract -signer leaf.pem -inkey leaf.key -outform DER -out made.p7s $options
    case $options in
      *nodetach*) run "$karta" verify made.p7s --anchor ca.pem ;;
      *)
        run "$karta" verify made.p7s --content contract --anchor ca.pem
        ends 1 "$karta" verify made.p7s --content other --anchor ca.pem
        ;;
    esac
  done
  rm -f made.p7s
  run peer smime -sign -binary -in contract -signer leaf.pem -inkey leaf.key -outform DER -out made.p7s
  run "$karta" verify made.p7s --content contract --anchor ca.pem

  step "$algorithm:$parameters of the engine: its key signs with karta-sign, its time-stamp stands inside"
  run peer pkcs8 -topk8 -in leaf.key -v2 aes-256-cbc -passout pass:$secret -out leaf.enc
  cat >stamp <<STAMP
#!/bin/sh
cd '$work'
cat >query.tsq
OPENSSL_CONF=engine.cnf openssl ts -reply -config engine.cnf -section stamps -queryfile query.tsq -out reply.tsr >ts.out 2>&1
cat reply.tsr
STAMP
  chmod +x stamp
  echo 01 >tsa.serial
  rm -f contract.p7s
  run signing contract --key leaf.enc --certificate leaf.pem --certificate ca.pem --level B-T --timestamp-program ./stamp
  run "$karta" verify contract.p7s --anchor ca.pem
  says "B-T"
  run peer cms -verify -binary -inform DER -in contract.p7s -content contract -CAfile ca.pem -purpose any -out text
}

wanted=("$@")
[ $# -gt 0 ] || wanted=(gost-256-a gost-256-b gost-256-c gost-256-d gost-512-a gost-512-b gost-512-c)
for set in "${wanted[@]}"; do
  for row in "${sets[@]}" "${old_names[@]}"; do
    read -r -a words <<<"$row"
    [ "${words[0]}" = "$set" ] || continue
    mkdir "$set-${words[2]}"
    cp engine.cnf contract other "$set-${words[2]}"
    cd "$set-${words[2]}"
    work_above=$work
    work=$PWD
    case " ${old_names[*]} " in *" $row "*) ;; *) (ours_by_theirs "${words[@]}") ;; esac
    (
      mkdir engine
      cp engine.cnf contract other engine
      cd engine
      work=$PWD
      theirs_by_ours "${words[@]}"
    )
    work=$work_above
    cd "$work"
  done
done
echo "all steps passed"
