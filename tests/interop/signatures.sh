#!/usr/bin/env bash
# karta-sign on anything that is no PDF, beside openssl: every level with keys in files and in SoftHSM2, detached and
# enveloping; raising, renewing, adding, joining and counter-signing one's own and foreign signatures. Prints a table.
#   KARTA_BIN=build/release/bin bash tests/interop/signatures.sh
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/cardless_lib.sh"
secret=a-passphrase
both=$secret$'\n'$secret

step "an authority, its revocation lists, a time-stamp authority of openssl's, SoftHSM2"
run "$karta" ca profiles --write profiles
sed -i '/^key_types/d' profiles/*.toml
run with $secret ca init root --subject "CN=Test Root,O=Test,C=XX" --key-type p256
run with "$both" ca init ca --issuer root --subject "CN=Test Issuing CA,O=Test,C=XX" --key-type p256
root=root/certificate.pem
ca=ca/certificate.pem
run with $secret ca crl root --out root.crl
run with $secret ca crl ca --out ca.crl
run with $secret ca request --subject "CN=Test TSA" --key-out tsa.key --key-type p256 --out tsa.csr
run with $secret ca issue ca --request tsa.csr --profile tsa --out tsa.pem
run openssl pkey -in tsa.key -passin pass:$secret -out tsa.plain
printf '01\n' >tsa.serial
cat >tsa.conf <<CONF
[tsa]
default_tsa = one
[one]
serial = $work/tsa.serial
crypto_device = builtin
signer_cert = $work/tsa.pem
certs = $work/$ca
signer_key = $work/tsa.plain
signer_digest = sha256
default_policy = 2.999.3
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
CONF
tsa="cat >'$work/q' && openssl ts -reply -queryfile '$work/q' -config '$work/tsa.conf' -out '$work/a' 2>/dev/null && cat '$work/a'"
services=(--timestamp-program "$tsa" --revocation root.crl --revocation ca.crl --issuer "$ca" --issuer "$root")
mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\n' "$work" >softhsm.conf
export SOFTHSM2_CONF=$work/softhsm.conf
run softhsm2-util --init-token --free --label "Test HSM" --pin 1234 --so-pin 5678
module=$(find /usr/lib -name libsofthsm2.so -print -quit)

# key HOLDER TYPE: a key with a certificate in "$name.pem"; leaves $key (for --key) and $pin.
key() {
  local holder=$1 type=$2
  name=$holder-$type
  if [ "$holder" = hsm ]; then
    key="pkcs11:token=Test%20HSM;object=$type?module-path=$module" pin=1234
  else
    key=$work/$name.key pin=$secret
  fi
  [ ! -e "$name.pem" ] || return 0
  run with $pin ca request --subject "CN=Sample $type" --key-out "$key" --key-type "$type" --out "$name.csr"
  run with $secret ca issue ca --request "$name.csr" --profile profiles/everyday.toml --subject "CN=Sample $type" --out "$name.pem"
}
# sign WORDS...: karta-sign with the key that was chosen last.
sign() { "$KARTA_BIN/karta-sign" --key "$key" --certificate "$name.pem" --certificate "$ca" --pin-fd 9 "$@" 9<<<"$pin"; }
# judged FILE CONTENT LEVEL: karta verify says that level; openssl agrees (not on Ed25519, which its cms has not).
judged() {
  local file=$1 content=$2 level=$3 beside=()
  [ -z "$content" ] || beside=(--content "$content")
  ends 0 "$karta" verify "$file" "${beside[@]}" --anchor $root --dir . --json
  says "\"level\": \"CAdES-$level\""
  case $file in *ed25519*) return 0 ;; esac
  [ -z "$content" ] || beside=(-content "$content")
  run openssl cms -verify -binary -inform DER -in "$file" "${beside[@]}" -CAfile $root -purpose any -out content.out
}

printf 'level by level, judged by karta and by openssl cms:\n' >table
printf '%-9s %-11s %-16s %-6s %-6s %-6s %-6s\n' holder key algorithm B-B B-T B-LT B-LTA >>table
head -c 100000 /dev/urandom >document
for one in file:p256: file:p384: file:rsa-2048: file:rsa-3072: file:rsa-3072:rsa-pss-sha256 file:ed25519: \
  hsm:p256: hsm:p384: hsm:rsa-3072: hsm:rsa-3072:rsa-pss-sha256 hsm:ed25519:; do
  IFS=: read -r holder type algorithm <<<"$one"
  step "every level with $type${algorithm:+, $algorithm}, the key in ${holder/hsm/SoftHSM2}"
  key "$holder" "$type"
  words=(${algorithm:+--algorithm "$algorithm"})
  row=$(printf '%-9s %-11s %-16s' "$holder" "$type" "${algorithm:-default}")
  for level in B-B B-T B-LT B-LTA; do
    folder=$name$algorithm-$level
    mkdir "$folder"
    run sign document --level $level --output-dir "$folder" "${words[@]}" "${services[@]}"
    judged "$folder/document.p7s" document $level
    cp "$folder/document.p7s" "$folder/$type.p7s"
    run sign document --enveloping --level $level --output-dir "$folder" "${words[@]}" "${services[@]}"
    judged "$folder/document.p7m" "" $level
    [ "$type" = ed25519 ] || cmp document content.out || no "the content came out changed"
    row+=" $(printf '%-6s' yes)"
  done
  echo "$row" >>table
done

step "the default is B-LT where services are given, else B-B, and says so"
key file p256
mkdir default
run sign document --output-dir default "${services[@]}"
judged default/document.p7s document B-LT
mkdir basic
run sign document --output-dir basic
says "level B-B"
ends 73 sign document --output-dir basic
says "karta-sign --add"
ends 64 sign document --output-dir tokens --level B-T
ends 64 sign document --output-dir tokens --algorithm none
ends 64 "$KARTA_BIN/karta-sign" document --output-dir tokens --key "$key" --pin-fd 9 9<<<"$pin"
says "--certificate"
key file p384
ends 66 "$KARTA_BIN/karta-sign" document --output-dir tokens --key "$key" --certificate file-p256.pem --pin-fd 9 9<<<"$pin"
key file p256

step "raised level by level, in place, without a key; renewed"
cp basic/document.p7s document.p7s
for level in B-T B-LT B-LTA; do
  run "$KARTA_BIN/karta-sign" document --raise --level $level "${services[@]}"
  judged document.p7s document $level
done
size=$(stat -c %s document.p7s)
run "$KARTA_BIN/karta-sign" document.p7s --renew "${services[@]}"
judged document.p7s document B-LTA
[ "$(stat -c %s document.p7s)" -gt "$size" ] || no "nothing was renewed"
ends 64 "$KARTA_BIN/karta-sign" document --raise
says "nothing to raise"

step "a second signer, detached and enveloping; signers joined; a counter-signature"
cp basic/document.p7s document.p7s
cp file-p256-B-B/document.p7m .
key hsm rsa-3072
run sign document --add
judged document.p7s document B-B
run "$karta" verify document.p7s --anchor $root --dir . --json
[ "$(grep -c '"role": "signature"' out)" -eq 2 ] || no "there are not two signers"
run sign document.p7m --add --level B-LTA "${services[@]}"
judged document.p7m "" B-LTA
run openssl cms -verify -binary -inform DER -in document.p7m -CAfile $root -purpose any -out content.out
cmp document content.out
key file p384
mkdir third
run sign document --output-dir third
run "$KARTA_BIN/karta-sign" document --join third/document.p7s
run "$karta" verify document.p7s --anchor $root --dir . --json
[ "$(grep -c '"role": "signature"' out)" -eq 3 ] || no "there are not three signers"
ends 64 sign document --counter-sign
says "--signer N"
run sign document --counter-sign --signer 2
run "$karta" verify document.p7s --anchor $root --dir . --json
[ "$(grep -c '"role": "counter-signature"' out)" -eq 1 ] || no "there is no counter-signature"
run openssl cms -verify -binary -inform DER -in document.p7s -content document -CAfile $root -purpose any -out content.out
mkdir beside
run "$KARTA_BIN/karta-sign" document.p7s --raise --level B-LTA --output-dir beside "${services[@]}"
judged beside/document.p7s document B-LTA

step "what is broken is not worked on, and stays as it was"
cp document other
printf x >>other
cp document.p7s other.p7s
before=$(sha256sum other.p7s)
for deed in --add "--counter-sign --signer 1"; do
  # shellcheck disable=SC2086
  ends 65 sign other $deed
done
ends 65 "$KARTA_BIN/karta-sign" other --raise --level B-LTA "${services[@]}"
says "not the one that was signed"
[ "$(sha256sum other.p7s)" = "$before" ] || no "the file was touched"
ends 66 sign contentless --add
ends 66 "$KARTA_BIN/karta-sign" tsa.conf --raise "${services[@]}"
cp document.p7s lonely.p7s
ends 64 sign lonely.p7s --add
says "--content"
run sign lonely.p7s --add --content document

step "foreign signatures are raised: openssl's, plain, CAdES, streamed, in PEM, with two signers"
openssl pkey -in file-p256.key -passin pass:$secret -out p256.plain
openssl pkey -in file-rsa-3072.key -passin pass:$secret -out rsa.plain
signer=(-signer file-p256.pem -inkey p256.plain -certfile "$ca")
make() { run openssl cms -sign -binary -in document "$@"; }
make "${signer[@]}" -cades -outform DER -out theirs-cades.p7s
make "${signer[@]}" -outform DER -out theirs-plain.p7s
make "${signer[@]}" -cades -outform PEM -out theirs-pem.p7s
make "${signer[@]}" -signer file-rsa-3072.pem -inkey rsa.plain -cades -outform DER -out theirs-two.p7s
make "${signer[@]}" -cades -nodetach -stream -outform DER -out theirs-streamed.p7m
make "${signer[@]}" -cades -nodetach -outform DER -out theirs-inside.p7m
for file in theirs-*; do
  content=() beside=()
  case $file in *.p7s) content=(--content document) beside=(-content document) ;; esac
  run "$KARTA_BIN/karta-sign" "$file" --raise --level B-LTA "${content[@]}" "${services[@]}"
  run "$karta" verify "$file" "${content[@]}" --anchor $root --dir . --json
  says '"best_time": "2'
  case $file in *plain*) ;; *) says "B-LTA" ;; esac
  form=DER
  case $file in *pem*) form=PEM ;; esac
  run openssl cms -verify -binary -inform $form -in "$file" "${beside[@]}" -CAfile $root -purpose any -out content.out
done
cmp document content.out

step "many files in one go; one that cannot be read does not stop the others; a pipe"
for i in $(seq 20); do head -c $((i * 999)) /dev/urandom >"many-$i"; done
key file p256
ends 66 sign many-{1..10} many-none many-{11..20} --json
[ "$(grep -c '"signed": true' out)" -eq 20 ] || no "not every file was signed"
run "$karta" verify many-{1..20} --anchor $root --dir .
mkdir piped
mkfifo piped/in
cat document >piped/in &
run sign piped/in --level B-LTA "${services[@]}" --output-dir tokens
judged tokens/in.p7s document B-LTA
cat document >piped/in &
run sign piped/in --enveloping --output-dir tokens
judged tokens/in.p7m "" B-B
cmp document content.out

cat table
echo "all steps passed"
