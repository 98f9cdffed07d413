#!/usr/bin/env bash
# karta-sign with the keys of an issued card, at every level, beside openssl; the profile of the card is the argument.
# shellcheck shell=bash disable=SC1091,SC2154
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"
source "$here/issued_lib.sh"
cd "$work"
profile=${1:-citizen}
export KARTA_SERVICES=none # not those of whoever runs this

step "a card of profile $profile, lists of the centre, a time-stamp authority of openssl's"
make_centre
[ "$profile" = citizen ] || cp "$here/../../docs/examples/profiles/$profile.toml" "$KARTA_DIR/profiles/card/"
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
issue "001-001-999 65" "Reader 1" "$profile"
choose_pins "Reader 1"
root=$KARTA_DIR/ca/root.crt.pem issuing=$KARTA_DIR/ca/issuing.crt.pem
run karta ca crl centre:root --out root.crl --passphrase-fd 3 3<<<"$passphrase"
run karta ca crl centre:issuing --out issuing.crl --passphrase-fd 3 3<<<"$passphrase"
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out tsa.crt -subj "/CN=Test TSA" \
  -days 30 -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
  -addext extendedKeyUsage=critical,timeStamping
printf '01\n' >tsa.serial
cat >tsa.conf <<CONF
[tsa]
default_tsa = one
[one]
serial = $work/tsa.serial
crypto_device = builtin
signer_cert = $work/tsa.crt
signer_key = $work/tsa.key
signer_digest = sha256
default_policy = 2.999.3
digests = sha256, sha384
ess_cert_id_alg = sha256
CONF
tsa="cat >'$work/q' && openssl ts -reply -queryfile '$work/q' -config '$work/tsa.conf' -out '$work/a' 2>/dev/null && cat '$work/a'"
services=(--timestamp-program "$tsa" --revocation root.crl --revocation issuing.crl --issuer "$issuing" --issuer "$root" --issuer tsa.crt)
printf 'a note\n' >note.txt
cat "$root" tsa.crt >anchors.pem

printf '%-12s %-10s %-16s %-6s %-6s %-6s %-6s\n' card key algorithm B-B B-T B-LT B-LTA >table
algorithms=(default)
[ "$profile" != citizen-rsa ] || algorithms=(default rsa-pss-sha256)
for kind in everyday qualified; do
  pin=$holder_pin1
  [ $kind = everyday ] || pin=$holder_pin2
  for algorithm in "${algorithms[@]}"; do
    words=()
    [ "$algorithm" = default ] || words=(--algorithm "$algorithm")
    row=$(printf '%-12s %-10s %-16s' "$profile" $kind "$algorithm")
    for level in B-B B-T B-LT B-LTA; do
      step "$kind key, $algorithm, $level"
      folder=$kind-$algorithm-$level
      mkdir "$folder"
      run karta-sign note.txt --key $kind --level $level --output-dir "$folder" "${words[@]}" "${services[@]}" \
        --reader "Reader 1" --pin-fd 3 3<<<"$pin"
      run karta verify "$folder/note.txt.p7s" --content note.txt --anchor anchors.pem --intermediate "$issuing" --json
      says "\"level\": \"CAdES-$level\""
      run openssl cms -verify -binary -inform DER -in "$folder/note.txt.p7s" -content note.txt -CAfile anchors.pem \
        -purpose any -out content.out
      row+=" $(printf '%-6s' yes)"
    done
    echo "$row" >>table
  done
done

step "the qualified key beside the everyday one in one file; a counter-signature"
cp everyday-default-B-B/note.txt.p7s .
run karta-sign note.txt --add --key qualified --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin2"
run karta-sign note.txt --counter-sign --signer 1 --key qualified --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin2"
run karta verify note.txt --anchor anchors.pem --intermediate "$issuing" --json
[ "$(grep -c '"role": "signature"' "$work/out")" -eq 2 ] || no "there are not two signers"
[ "$(grep -c '"role": "counter-signature"' "$work/out")" -eq 1 ] || no "there is no counter-signature"
run openssl cms -verify -binary -inform DER -in note.txt.p7s -content note.txt -CAfile anchors.pem -purpose any -out content.out

cat table
