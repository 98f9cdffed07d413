# p11-kit and GnuTLS find the module through its module file: list-modules, p11tool, certtool, gnutls-cli as a TLS client.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
step "a card: $1"
card_in_hand "$1"
only_module

step "p11-kit lists the module and its tokens"
run p11-kit list-modules
says "$module" "$everyday" "$qualified"

step "p11tool lists tokens, certificates, keys; URIs tell them apart"
run p11tool --list-token-urls
says "$(percent "$everyday")" "$(percent "$qualified")"
run p11tool --list-all-certs "pkcs11:token=$(percent "$everyday")"
says "AUT" "SIG" "ENC"
run p11tool --login --set-pin "$pin" --list-all-privkeys --only-urls "pkcs11:token=$(percent "$everyday")"
[ "$(grep -c '^pkcs11:' "$work/out")" -eq 3 ] || { cat "$work/out"; no "three everyday keys expected"; }
run p11tool --login --set-pin "$qualified_pin" --list-all-privkeys --only-urls "pkcs11:token=$(percent "$qualified")"
[ "$(grep -c '^pkcs11:' "$work/out")" -eq 1 ] || { cat "$work/out"; no "one qualified key expected"; }
run p11tool --list-mechanisms "pkcs11:token=$(percent "$everyday")"
says "CKM_SHA256"
run p11tool --export "$(uri SIG cert)"
openssl x509 -in "$work/out" -outform DER -out "$work/back.der"
openssl x509 -in "$work/02.crt" -outform DER | cmp - "$work/back.der" || no "another certificate came back"

step "p11tool's own test signature"
run p11tool --login --set-pin "$pin" --test-sign "pkcs11:token=$(percent "$everyday");id=%01;type=private"
run p11tool --login --set-pin "$pin" --test-sign "pkcs11:token=$(percent "$everyday");id=%02;type=private"
run p11tool --login --set-pin "$qualified_pin" --test-sign "pkcs11:token=$(percent "$qualified");id=%03;type=private"

step "certtool signs a certificate request and a message with card keys"
printf 'cn = "Sample"\nsigning_key\n' >"$work/template"
run certtool --generate-request --load-privkey "$(uri SIG private)" --load-pubkey "$(uri SIG public)" --template "$work/template" --outfile "$work/request"
run openssl req -in "$work/request" -noout -verify
echo text >"$work/text"
run certtool --p7-sign --load-privkey "$(uri SIG private)" --load-certificate "$work/02.crt" --infile "$work/text" --outfile "$work/text.p7s"
run openssl cms -verify -inform PEM -in "$work/text.p7s" -CAfile "$work/trust.crt" -purpose any -out "$work/back"

step "gnutls-cli: TLS client authentication"
server_certificate
tls_server 4501
for version in 1.3 1.2; do
  printf 'GET / HTTP/1.0\r\n\r\n' | timeout 60 gnutls-cli --priority "NORMAL:-VERS-ALL:+VERS-TLS$version" --x509cafile "$work/server.crt" \
    --x509certfile "$(uri AUT cert)" --x509keyfile "$(uri AUT private)" --port 4501 localhost >"$work/out" 2>&1 ||
    { cat "$work/out" "$work/server.out"; no "gnutls-cli over TLS $version"; }
  says "HTTP/1.0 200 ok" "Client certificate"
done
step "without a card key the same server refuses"
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 60 gnutls-cli --x509cafile "$work/server.crt" --port 4501 localhost >"$work/out" 2>&1 || true
refuse grep -q "200 ok" "$work/out"
echo "passed: $kind"
