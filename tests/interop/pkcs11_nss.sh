# NSS, which Firefox and Chromium use: modutil adds the module, certutil lists, tstclnt logs in over TLS, cmsutil signs.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
step "a card: $1"
card_in_hand "$1"
mkdir "$work/client" "$work/server"
client=sql:$work/client server=sql:$work/server
printf '%s:%s\n%s:%s\n' "$everyday" "$pin" "$qualified" "$qualified_pin" >"$work/pins"

step "modutil adds the module and shows its tokens"
run certutil -N -d "$client" --empty-password
run modutil -dbdir "$client" -add karta -libfile "$module" -force
run modutil -dbdir "$client" -list # with a name it fails at every empty slot
says "$everyday" "$qualified" "$module"

step "certutil lists certificates and keys"
run timeout 60 certutil -L -d "$client" -h all -f "$work/pins"
says "$everyday:AUT" "$everyday:SIG" "$everyday:ENC"
run timeout 60 certutil -K -d "$client" -h "$everyday" -f "$work/pins"
says "AUT" "SIG" "ENC"
run timeout 60 certutil -K -d "$client" -h "$qualified" -f "$work/pins"
says "QES"

step "a TLS server of NSS that wants a certificate, and a client with the card"
run certutil -N -d "$server" --empty-password
server_certificate
run openssl pkcs12 -export -in "$work/server.crt" -inkey "$work/server.key" -name server -passout pass:server -out "$work/server.p12"
run pk12util -d "$server" -i "$work/server.p12" -W server -K ''
csplit -s -z -f "$work/trust." "$work/trust.crt" '/-----BEGIN/' '{*}'
n=0
for file in "$work"/trust.[0-9]*; do
  n=$((n + 1))
  run certutil -A -d "$server" -n "issuer $n" -t "CT,C,C" -i "$file"
  run certutil -A -d "$client" -n "issuer $n" -t "CT,C,C" -i "$file" -f "$work/pins"
done
run certutil -A -d "$client" -n "server" -t "CT,C,C" -i "$work/server.crt" -f "$work/pins"
serve 4504 selfserv -d "$server" -n server -p 4504 -r -r -V tls1.2:tls1.3 -v
for version in tls1.3 tls1.2; do
  printf 'GET / HTTP/1.0\r\n\r\n' >"$work/request"
  timeout 60 tstclnt -h localhost -p 4504 -d "$client" -V $version:$version -n "$everyday:AUT" -W "$work/pins" \
    -A "$work/request" >"$work/out" 2>&1 || { cat "$work/out" "$work/server.out"; no "tstclnt over $version"; }
  says "HTTP/1.0 200 OK"
done
grep -q 'Interop' "$work/server.out" || { cat "$work/server.out"; no "the server has not seen the certificate"; }
refuse timeout 60 tstclnt -h localhost -p 4504 -d "$server" -V tls1.2:tls1.2 -A "$work/request"

step "cmsutil signs, and openssl verifies"
echo "a text" >"$work/text"
run timeout 60 cmsutil -S -d "$client" -N "$everyday:SIG" -f "$work/pins" -G -H SHA256 -i "$work/text" -o "$work/text.p7m"
run openssl cms -verify -inform DER -in "$work/text.p7m" -CAfile "$work/trust.crt" -purpose any -out "$work/back"
run cmp "$work/text" "$work/back"

step "modutil takes the module out"
run modutil -dbdir "$client" -delete karta -force
echo "passed: $kind"
