#!/usr/bin/env bash
# PKCS #11 through unmodified OpenSC: the module's own test, every signature mechanism against openssl, deciphering, key
# agreement, imported keys.
. "$(dirname "$0")/lib.sh"

"$KARTA_SIM" new "$work/a.card" >/dev/null
start_cards run "$work/a.card"
step "a card with keys of every kind"
init_card
generate rsa/2048 45 "RSA 2048" sign,decrypt
generate rsa/3072 46 "RSA 3072" sign,decrypt
generate ec/prime256v1 47 "P-256" sign,keyAgreement
generate ec/secp384r1 48 "P-384" sign,keyAgreement
generate ec/secp521r1 49 "P-521" sign,keyAgreement
step "imported keys"
run openssl ecparam -name prime256v1 -genkey -noout -out "$work/ec.key"
run openssl genrsa -out "$work/rsa.key" 2048
run pkcs15-init --store-private-key "$work/ec.key" --auth-id 1 --id 51 --label "imported P-256" --key-usage sign --pin $pin1
run pkcs15-init --store-private-key "$work/rsa.key" --auth-id 1 --id 52 --label "imported RSA" --key-usage sign,decrypt --pin $pin1
run pkcs15-init --finalize
for id in 45 46 47 48 49; do public_key $id; done
run openssl pkey -in "$work/ec.key" -pubout -out "$work/51.pem"
run openssl pkey -in "$work/rsa.key" -pubout -out "$work/52.pem"
token="KARTA (auth PIN)"

step "pkcs11-tool --test"
run p11 --login --pin $pin1 --token-label "$token" --test
says "No errors"

step "objects"
run p11 --login --pin $pin1 --token-label "$token" --list-objects
says "RSA 2048" "RSA 3072" "P-256" "P-384" "P-521" "imported P-256" "imported RSA"

step "RSA signatures"
for id in 45 46 52; do
  sign_and_verify $id $pin1 "$token" SHA256-RSA-PKCS sha256
  sign_and_verify $id $pin1 "$token" SHA512-RSA-PKCS sha512
  sign_and_verify $id $pin1 "$token" SHA256-RSA-PKCS-PSS sha256
  sign_and_verify $id $pin1 "$token" SHA384-RSA-PKCS-PSS sha384
done

step "ECDSA signatures, hashed by the module and by the caller"
for id in 47 48 49 51; do
  sign_and_verify $id $pin1 "$token" ECDSA-SHA256 sha256 --signature-format openssl
  sign_and_verify $id $pin1 "$token" ECDSA-SHA384 sha384 --signature-format openssl
  for hash in sha1 sha256 sha512; do
    openssl dgst -$hash -binary -out "$work/digest" "$work/text"
    # P-256 takes the leftmost bits of a longer hash; OpenSC cuts it before it comes to the card.
    run p11 --login --pin $pin1 --token-label "$token" --sign --id $id --mechanism ECDSA --signature-format openssl \
      --input-file "$work/digest" --output-file "$work/signature"
    run openssl pkeyutl -verify -pubin -inkey "$work/$id.pem" -in "$work/digest" -sigfile "$work/signature"
  done
done

step "deciphering"
printf 'for the holder only' >"$work/text"
for id in 45 46 52; do
  run openssl pkeyutl -encrypt -pubin -inkey "$work/$id.pem" -in "$work/text" -out "$work/cipher"
  run p11 --login --pin $pin1 --token-label "$token" --decrypt --id $id --mechanism RSA-PKCS \
    --input-file "$work/cipher" --output-file "$work/plain"
  run cmp "$work/plain" "$work/text"
  run openssl pkeyutl -encrypt -pubin -inkey "$work/$id.pem" -in "$work/text" -out "$work/cipher" \
    -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
  run p11 --login --pin $pin1 --token-label "$token" --decrypt --id $id --mechanism RSA-PKCS-OAEP --hash-algorithm SHA256 \
    --input-file "$work/cipher" --output-file "$work/plain"
  run cmp "$work/plain" "$work/text"
done

step "key agreement"
while read -r id curve; do
  run openssl ecparam -name "$curve" -genkey -noout -out "$work/other.key"
  run openssl pkey -in "$work/other.key" -pubout -outform DER -out "$work/other.der"
  run p11 --login --pin $pin1 --token-label "$token" --derive --id "$id" --mechanism ECDH1-DERIVE \
    --input-file "$work/other.der" --output-file "$work/card.secret"
  run openssl pkeyutl -derive -inkey "$work/other.key" -peerkey "$work/$id.pem" -out "$work/other.secret"
  run cmp "$work/card.secret" "$work/other.secret"
done <<'KEYS'
47 prime256v1
48 secp384r1
49 secp521r1
KEYS

step "a key made through PKCS #11"
run p11 --login --pin $pin1 --token-label "$token" --keypairgen --key-type EC:prime256v1 --id 60 --label "by PKCS 11" --usage-sign
public_key 60
sign_and_verify 60 $pin1 "$token" ECDSA-SHA256 sha256 --signature-format openssl

step "the record holds no secret"
for secret in $pin1 $puk1; do
  hex=$(printf %s "$secret" | od -An -tx1 | tr -d ' \n')
  if grep -qi "$hex" "$record"; then no "$secret is in the record"; fi
done

step "the reader link did not stall"
# Delayed acknowledgements cost every command 44 ms; a busy machine may delay some.
waits=$(grep -o '"gap_us":[0-9]*' "$record" | cut -d: -f2 | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
[ "$waits" -lt 40000 ] || no "half of all commands waited $waits microseconds"
