# OpenSSL and curl on card keys, through the pkcs11 engine: digests, CMS, certificate requests, TLS client authentication.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
step "a card: $1"
card_in_hand "$1"
export PKCS11_MODULE_PATH=$module
echo "a text" >"$work/text"
# A key that wants its PIN each time: the engine asks on the terminal, or without one on standard input.
with_pin() { setsid --wait "$@" <<<"$qualified_pin"; }

step "openssl dgst signs with each key"
for role in AUT SIG QES; do
  id=${id_of[$role]}
  run with_pin openssl dgst -engine pkcs11 -keyform engine -sha256 -sign "$(uri $role private)" -out "$work/signature" "$work/text"
  run openssl dgst -sha256 -verify "$work/$id.pem" -signature "$work/signature" "$work/text"
  if [ "$(key_kind "$id")" = rsa ]; then
    run with_pin openssl dgst -engine pkcs11 -keyform engine -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
      -sign "$(uri $role private)" -out "$work/signature" "$work/text"
    run openssl dgst -sha256 -verify "$work/$id.pem" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
      -signature "$work/signature" "$work/text"
  fi
done

step "openssl req makes a certificate request"
run openssl req -new -engine pkcs11 -keyform engine -key "$(uri SIG private)" -subj "/CN=Sample" -out "$work/request"
run openssl req -in "$work/request" -noout -verify

step "openssl cms signs, everyday and qualified, and openssl verifies up to the root"
for role in SIG QES; do
  run with_pin openssl cms -sign -engine pkcs11 -keyform engine -inkey "$(uri $role private)" -signer "$work/${id_of[$role]}.crt" \
    -in "$work/text" -binary -nodetach -outform DER -out "$work/text.p7m"
  run openssl cms -verify -inform DER -in "$work/text.p7m" -CAfile "$work/trust.crt" -purpose any -out "$work/back"
  run cmp "$work/text" "$work/back"
done

if [ "$(key_kind 04)" = rsa ]; then
  step "openssl cms deciphers with ENC"
  run openssl cms -encrypt -aes-256-cbc -binary -in "$work/text" -outform DER -out "$work/text.enc" "$work/04.crt"
  run openssl cms -decrypt -engine pkcs11 -keyform engine -inkey "$(uri ENC private)" -inform DER -in "$work/text.enc" \
    -recip "$work/04.crt" -out "$work/back"
  run cmp "$work/text" "$work/back"
fi

step "openssl s_client: TLS client authentication"
server_certificate
tls_server 4502
for version in -tls1_3 -tls1_2; do
  printf 'GET / HTTP/1.0\r\n\r\n' | timeout 60 openssl s_client -connect localhost:4502 $version -CAfile "$work/server.crt" -verify_return_error \
    -engine pkcs11 -keyform engine -key "$(uri AUT private)" -cert "$work/01.crt" -ign_eof >"$work/out" 2>&1 ||
    { cat "$work/out" "$work/server.out"; no "openssl s_client $version"; }
  says "HTTP/1.0 200 ok" "Client certificate"
done

# OpenSSL ends without C_Finalize. While it holds the card pcscd resets that with it, so here another program has had the
# card before: from then on the PIN's right would stay for anybody.
step "openssl s_client logs out when it ends, though it does not say so"
mkfifo "$work/words"
timeout 60 openssl s_client -connect localhost:4502 -CAfile "$work/server.crt" -verify_return_error \
  -engine pkcs11 -keyform engine -key "$(uri AUT private)" -cert "$work/01.crt" -ign_eof <"$work/words" >"$work/client.out" 2>&1 &
client=$!
exec 9>"$work/words"
deadline=$((SECONDS + 30))
until grep -q 'Verify return code' "$work/client.out"; do
  [ $SECONDS -lt $deadline ] || { cat "$work/client.out"; no "no handshake"; }
  read -r -t 0.01 <>"$work/never" || true
done
run karta card info --json
says '"tries_left": null'
printf 'GET / HTTP/1.0\r\n\r\n' >&9
exec 9>&-
wait $client
asks_again

step "curl: TLS client authentication, key and certificate from the card"
run timeout 60 curl --silent --show-error --fail --cacert "$work/server.crt" --engine pkcs11 --key-type ENG --key "$(uri AUT private)" \
  --cert "$work/01.crt" https://localhost:4502/
says "Client certificate"
run timeout 60 curl --silent --show-error --fail --cacert "$work/server.crt" --engine pkcs11 --key-type ENG --key "$(uri AUT private)" \
  --cert-type ENG --cert "$(uri AUT cert)" https://localhost:4502/
says "Client certificate"
refuse timeout 60 curl --silent --show-error --fail --cacert "$work/server.crt" https://localhost:4502/
echo "passed: $kind"
