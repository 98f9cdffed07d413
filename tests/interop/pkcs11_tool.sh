# pkcs11-tool and our module: its own test, every verb that signs, deciphers, agrees, makes keys, keeps certificates and PINs.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
step "a card: $1"
card_in_hand "$1"

step "slots, mechanisms, objects"
run p11 --show-info
run p11 --list-mechanisms
says "SHA256, digest"
run p11 --list-objects
for word in AUT SIG ENC; do says "label:      $word"; done
refuse grep -q "Private Key" "$work/out"
run p11 --login --pin "$pin" --token-label "$everyday" --list-objects
[ "$(grep -c '^Private Key Object' "$work/out")" -eq 3 ] || { cat "$work/out"; no "three everyday keys expected"; }
says "never extractable"
run p11 --login --pin "$qualified_pin" --token-label "$qualified" --list-objects
says "always authenticate" "QES"
run p11 --token-label "$everyday" --read-object --type cert --id 01 --output-file "$work/01.der"
openssl x509 -in "$work/01.crt" -outform DER | cmp - "$work/01.der" || no "another certificate came back"

step "--login --test"
run p11 --login --pin "$pin" --token-label "$everyday" --test
says "No errors"
# With an RSA key that wants its PIN each time pkcs11-tool 0.23 opens a session on a slot whose sessions it has closed, and
# gives up; such a key is tried below, signature by signature.
if [ "$(key_kind 03)" = ec ]; then
  run p11 --login --pin "$qualified_pin" --token-label "$qualified" --test
  says "No errors"
fi

step "every signature mechanism, and openssl verifies"
head -c 5000 /dev/urandom >"$work/long"
for role in AUT SIG QES; do
  id=${id_of[$role]} token=$everyday code=$pin
  [ $role != QES ] || token=$qualified code=$qualified_pin
  case $(key_kind "$id") in
    ec)
      for hash in 256 384 512; do
        sign_and_verify "$id" "$code" "$token" ECDSA-SHA$hash sha$hash --signature-format openssl
      done
      openssl dgst -sha256 -binary -out "$work/digest" "$work/long"
      run p11 --login --pin "$code" --token-label "$token" --sign --id "$id" --mechanism ECDSA --signature-format openssl \
        --input-file "$work/digest" --output-file "$work/signature"
      run openssl pkeyutl -verify -pubin -inkey "$work/$id.pem" -in "$work/digest" -sigfile "$work/signature"
      mechanism=ECDSA-SHA256 more=(--signature-format openssl)
      ;;
    rsa)
      for hash in 256 384 512; do
        sign_and_verify "$id" "$code" "$token" SHA$hash-RSA-PKCS sha$hash
        sign_and_verify "$id" "$code" "$token" SHA$hash-RSA-PKCS-PSS sha$hash --salt-len $((hash / 8))
      done
      printf 'signed as it is' >"$work/digest"
      run p11 --login --pin "$code" --token-label "$token" --sign --id "$id" --mechanism RSA-PKCS \
        --input-file "$work/digest" --output-file "$work/signature"
      run openssl pkeyutl -verify -pubin -inkey "$work/$id.pem" -in "$work/digest" -sigfile "$work/signature"
      mechanism=SHA256-RSA-PKCS more=()
      ;;
  esac
  # More than one buffer of the tool: C_SignUpdate and C_SignFinal.
  run p11 --login --pin "$code" --token-label "$token" --sign --id "$id" --mechanism $mechanism "${more[@]}" \
    --input-file "$work/long" --output-file "$work/signature"
  run openssl dgst -sha256 -verify "$work/$id.pem" -signature "$work/signature" "$work/long"
done

step "ENC deciphers or agrees"
if [ "$(key_kind 04)" = ec ]; then
  run openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/other.key"
  run openssl pkey -in "$work/other.key" -pubout -outform DER -out "$work/other.pub"
  run p11 --login --pin "$pin" --token-label "$everyday" --derive --id 04 --mechanism ECDH1-DERIVE \
    --input-file "$work/other.pub" --output-file "$work/shared.card"
  run openssl pkeyutl -derive -inkey "$work/other.key" -peerkey "$work/04.pem" -out "$work/shared.openssl"
  run cmp "$work/shared.card" "$work/shared.openssl"
else
  echo "a message for the holder" >"$work/message"
  run openssl pkeyutl -encrypt -pubin -inkey "$work/04.pem" -in "$work/message" -out "$work/cryptogram"
  run p11 --login --pin "$pin" --token-label "$everyday" --decrypt --id 04 --mechanism RSA-PKCS \
    --input-file "$work/cryptogram" --output-file "$work/plain"
  run cmp "$work/message" "$work/plain"
  run openssl pkeyutl -encrypt -pubin -inkey "$work/04.pem" -in "$work/message" -out "$work/cryptogram" \
    -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
  run p11 --login --pin "$pin" --token-label "$everyday" --decrypt --id 04 --mechanism RSA-PKCS-OAEP --hash-algorithm SHA256 \
    --mgf MGF1-SHA256 --input-file "$work/cryptogram" --output-file "$work/plain"
  run cmp "$work/message" "$work/plain"
fi

step "digests and random octets"
for hash in 1 256 384 512; do
  mechanism=SHA$hash
  [ $hash != 1 ] || mechanism=SHA-1
  run p11 --token-label "$everyday" --hash --mechanism $mechanism --input-file "$work/long" --output-file "$work/digest"
  openssl dgst -sha$hash -binary "$work/long" | cmp - "$work/digest" || no "SHA-$hash is another"
done
run p11 --token-label "$everyday" --generate-random 48 --output-file "$work/random.1"
run p11 --token-label "$everyday" --generate-random 48 --output-file "$work/random.2"
[ "$(stat -c %s "$work/random.1")" -eq 48 ] || no "48 octets were asked for"
refuse cmp "$work/random.1" "$work/random.2"

step "PINs: a wrong one costs a try and is told apart; changing"
refuse p11 --login --pin 111119 --token-label "$everyday" --list-objects --type privkey
says "CKR_PIN_INCORRECT"
run p11 --list-slots
# OpenSC's module asks the card only when it logs in.
case $module in *opensc*) ;; *) says "user PIN count low" ;; esac
run p11 --login --pin "$pin" --token-label "$everyday" --list-objects --type privkey
run p11 --list-slots
refuse grep -q "user PIN count low" "$work/out"
run p11 --login --pin "$pin" --token-label "$everyday" --change-pin --new-pin 741852
refuse p11 --login --pin "$pin" --token-label "$everyday" --list-objects --type privkey
run p11 --login --pin 741852 --token-label "$everyday" --change-pin --new-pin 852963
pin=852963
run p11 --login --pin "$pin" --token-label "$everyday" --list-objects --type privkey

step "a key pair made anew in its place"
type=EC:prime256v1 mechanism=ECDSA-SHA256 more=(--signature-format openssl)
[ "$(key_kind 01)" = ec ] || type=rsa:2048 mechanism=SHA256-RSA-PKCS more=()
cp "$work/01.pem" "$work/old.pem"
run p11 --login --pin "$pin" --token-label "$everyday" --keypairgen --key-type $type --id 01 --label AUT --usage-sign
# Until its new certificate is there, other programs may take the key from the old one; the module must not.
run p11 --token-label "$everyday" --read-object --type pubkey --id 01 --output-file "$work/01.der"
run openssl pkey -pubin -inform DER -in "$work/01.der" -out "$work/01.pem"
refuse cmp "$work/01.pem" "$work/old.pem"
sign_and_verify 01 "$pin" "$everyday" $mechanism sha256 "${more[@]}"

step "and its certificate"
if [ ! -e "$work/ca.crt" ]; then
  run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" -subj "/CN=Renewal CA" -days 30
fi
run openssl x509 -new -subj "/CN=Renewed" -force_pubkey "$work/01.pem" -CA "$work/ca.crt" -CAkey "$work/ca.key" -days 30 -outform DER -out "$work/new.der"
run p11 --login --pin "$pin" --token-label "$everyday" --write-object "$work/new.der" --type cert --id 01 --label AUT
run p11 --token-label "$everyday" --read-object --type cert --id 01 --output-file "$work/back.der"
run cmp "$work/new.der" "$work/back.der"
run pkcs15-tool --read-certificate 01 --output "$work/back.pem"
openssl x509 -in "$work/back.pem" -outform DER | cmp - "$work/new.der" || no "OpenSC reads another certificate"

step "a key under a new identifier: made where the card takes new files, refused on an issued one, and nothing else is changed"
mechanism=ECDSA-SHA256 more=(--signature-format openssl)
[ "$(key_kind 01)" = ec ] || mechanism=SHA256-RSA-PKCS more=()
keygen=(timeout 60 pkcs11-tool --module "$module" --login --pin "$pin" --token-label "$everyday" --keypairgen --key-type EC:prime256v1 --id 60)
if [ "$kind" = pkcs15-init ]; then run "${keygen[@]}" --usage-sign; else refuse "${keygen[@]}"; fi
sign_and_verify 01 "$pin" "$everyday" $mechanism sha256 "${more[@]}"
echo "passed: $kind"
