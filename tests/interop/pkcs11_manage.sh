# A card begun, filled and emptied by pkcs11-tool through our module, and OpenSC's own view of the result after each step;
# and the same objects on a card made by pkcs15-init.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
kind=$1
so_puk=31415926
run "$KARTA_SIM" new "$work/card.image"
start_cards run "$work/card.image"
await_card "Reader 1"
case $kind in
  blank)
    step "--init-token and --init-pin on a blank card"
    run p11 --init-token --slot-index 0 --label "begun here" --so-pin $so_puk
    run p11 --login --login-type so --so-pin $so_puk --init-pin --new-pin 741852
    pin=741852
    ;;
  pkcs15-init)
    init_card
    generate ec/prime256v1 01 AUT sign
    certify 01
    store_certificate 01 AUT 1 $pin1
    run pkcs15-init --finalize
    pin=$pin1
    ;;
  *) no "no such card: $kind" ;;
esac
everyday=$(token_label 'PIN1|auth PIN')
opensc_reads() { # words it must say
  run pkcs15-tool --dump
  says "$@"
}
opensc_reads "PIN ["

step "--keypairgen under new identifiers"
run p11 --login --pin "$pin" --token-label "$everyday" --keypairgen --key-type EC:prime256v1 --id 60 --label "sixty" --usage-sign
run p11 --login --pin "$pin" --token-label "$everyday" --keypairgen --key-type rsa:2048 --id 61 --label "sixty-one" --usage-sign --usage-decrypt
run p11 --login --pin "$pin" --token-label "$everyday" --keypairgen --key-type EC:secp384r1 --id 62 --label "sixty-two" --usage-derive
opensc_reads "Private EC Key [sixty]" "Private RSA Key [sixty-one]" "Private EC Key [sixty-two]" "Public EC Key [sixty]" \
  "Public RSA Key [sixty-one]" "ModLength      : 2048"

step "the public keys OpenSC reads are the ones the card signs with"
for id in 60 61; do public_key $id; done
sign_and_verify 60 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl
sign_and_verify 61 "$pin" "$everyday" SHA256-RSA-PKCS-PSS sha256 --salt-len 32
ours=$module
module=opensc-pkcs11.so
opensc_label=$(token_label 'begun here|auth PIN')
sign_and_verify 60 "$pin" "$opensc_label" ECDSA-SHA256 sha256 --signature-format openssl
module=$ours

step "--write-object: certificates for new keys, and one of an authority"
certify 60
run openssl x509 -in "$work/60.crt" -outform DER -out "$work/60.der"
run p11 --login --pin "$pin" --token-label "$everyday" --write-object "$work/60.der" --type cert --id 60 --label "sixty"
run openssl x509 -in "$work/ca.crt" -outform DER -out "$work/ca.der"
run p11 --login --pin "$pin" --token-label "$everyday" --write-object "$work/ca.der" --type cert --id 7A --label "authority"
opensc_reads "X.509 Certificate [sixty]" "X.509 Certificate [authority]"
run pkcs15-tool --read-certificate 60 --output "$work/back.crt"
openssl x509 -in "$work/back.crt" -outform DER | cmp - "$work/60.der" || no "OpenSC reads another certificate"
run p11 --token-label "$everyday" --read-object --type cert --id 7A --output-file "$work/back.der"
run cmp "$work/back.der" "$work/ca.der"

step "a certificate of another key is refused"
certify 61
run openssl x509 -in "$work/61.crt" -outform DER -out "$work/61.der"
refuse p11 --login --pin "$pin" --token-label "$everyday" --write-object "$work/61.der" --type cert --id 60 --label "wrong"

step "data objects, open and private"
echo "open to all" >"$work/open"
echo "for the holder" >"$work/private"
run p11 --login --pin "$pin" --token-label "$everyday" --write-object "$work/open" --type data --label "open note" --application-label notes
run p11 --login --pin "$pin" --token-label "$everyday" --write-object "$work/private" --type data --label "private note" --application-label notes --private
run p11 --token-label "$everyday" --read-object --type data --label "open note" --output-file "$work/back"
run cmp "$work/open" "$work/back"
refuse p11 --token-label "$everyday" --read-object --type data --label "private note" --output-file "$work/back"
run p11 --login --pin "$pin" --token-label "$everyday" --read-object --type data --label "private note" --output-file "$work/back"
run cmp "$work/private" "$work/back"
opensc_reads "Data object 'open note'" "Data object 'private note'"
run pkcs15-tool --read-data-object "open note" --output "$work/back" --raw
run cmp "$work/open" "$work/back"

step "--delete-object: each goes, the others stay"
run p11 --login --pin "$pin" --token-label "$everyday" --delete-object --type data --label "open note"
run p11 --login --pin "$pin" --token-label "$everyday" --delete-object --type cert --id 60
run p11 --login --pin "$pin" --token-label "$everyday" --delete-object --type privkey --id 61
opensc_reads "Private EC Key [sixty]" "X.509 Certificate [authority]" "Data object 'private note'"
for gone in "sixty-one" "X.509 Certificate [sixty]" "Data object 'open note'"; do refuse grep -qF "$gone" "$work/out"; done
sign_and_verify 60 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl

step "the room is used again, by us and by pkcs15-init"
run p11 --login --pin "$pin" --token-label "$everyday" --keypairgen --key-type EC:prime256v1 --id 63 --label "sixty-three" --usage-sign
run pkcs15-init --generate-key ec/prime256v1 --auth-id 1 --id 64 --label "by OpenSC" --key-usage sign --pin "$pin"
opensc_reads "Private EC Key [sixty-three]" "Private EC Key [by OpenSC]" "Private EC Key [sixty]"
for id in 63 64; do public_key $id; done
sign_and_verify 63 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl
sign_and_verify 64 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl

if [ "$kind" = blank ]; then
  step "--init-token again: with the PUK, and not without it"
  refuse p11 --init-token --slot-index 0 --label "begun again" --so-pin 27182818
  sign_and_verify 63 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl
  run p11 --init-token --slot-index 0 --label "begun again" --so-pin $so_puk
  run p11 --list-objects
  refuse grep -q "Object" "$work/out"
fi
echo "passed: $kind"
