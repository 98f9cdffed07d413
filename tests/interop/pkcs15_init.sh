#!/usr/bin/env bash
# A blank card and unmodified OpenSC: pkcs15-init makes the application, PINs, keys and certificates, erases it all and
# starts again.
. "$(dirname "$0")/lib.sh"

"$KARTA_SIM" new "$work/a.card" --serial F04B0000000000000001 >/dev/null
start_cards run "$work/a.card"

# The first time without a security officer; the second time with one, whom the application then belongs to.
so_pin=11223344 so_puk=44332211
for round in first second; do
  step "$round round: application and two PINs"
  officer=()
  if [ $round = second ]; then officer=(--so-pin $so_pin --so-puk $so_puk); fi
  init_card "${officer[@]}"
  step "$round round: keys made on the card"
  generate rsa/2048 45 "RSA 2048" sign,decrypt
  generate rsa/3072 46 "RSA 3072" sign,decrypt
  generate ec/prime256v1 47 "P-256" sign
  generate ec/secp384r1 48 "P-384" sign 2 $pin2
  step "$round round: certificates"
  # OpenSC gives a key the label of its certificate.
  for id in 45 47; do
    certify $id
    run pkcs15-init --store-certificate "$work/$id.crt" --auth-id 1 --id $id --label "certified $id" --pin $pin1
  done
  step "$round round: finalised"
  run pkcs15-init --finalize

  step "$round round: dump"
  run pkcs15-tool --dump
  says "PKCS#15 Card [KARTA]" "Serial number  : f04b0000000000000001" "PIN [auth PIN]" "PIN [sign PIN]" \
    "Private RSA Key [certified 45]" "Private RSA Key [RSA 3072]" "Private EC Key [certified 47]" "Private EC Key [P-384]" \
    "X.509 Certificate [certified 45]" "X.509 Certificate [certified 47]" "ModLength      : 3072" "FieldLength    : 384"
  step "$round round: the certificates are the ones stored"
  for id in 45 47; do
    run pkcs15-tool --read-certificate $id --output "$work/read.crt"
    run openssl x509 -in "$work/read.crt" -outform DER -out "$work/read.der"
    run openssl x509 -in "$work/$id.crt" -outform DER -out "$work/stored.der"
    run cmp "$work/read.der" "$work/stored.der"
  done
  step "$round round: a key of each kind signs"
  for id in 45 46 47 48; do public_key $id; done
  sign_and_verify 45 $pin1 "KARTA (auth PIN)" SHA256-RSA-PKCS sha256
  sign_and_verify 46 $pin1 "KARTA (auth PIN)" SHA256-RSA-PKCS sha256
  sign_and_verify 47 $pin1 "KARTA (auth PIN)" ECDSA-SHA256 sha256 --signature-format openssl
  sign_and_verify 48 $pin2 "KARTA (sign PIN)" ECDSA-SHA384 sha384 --signature-format openssl
  cp "$work/45.pem" "$work/$round.pem"

  step "$round round: erased"
  if [ $round = first ]; then
    run pkcs15-init --erase-card --pin $pin1
  else
    # Now it takes the officer, whom --erase-card would ask for at a terminal.
    erase=(pkcs15-init --erase-application A000000063504B43532D3135)
    refuse "${erase[@]}" --pin 99999999 --so-pin 99999999
    run pkcs15-tool --dump
    run "${erase[@]}" --pin $so_pin --so-pin $so_pin
  fi
  refuse pkcs15-tool --dump
done
refuse cmp "$work/first.pem" "$work/second.pem"
step "and begun once more"
init_card
run pkcs15-tool --dump
