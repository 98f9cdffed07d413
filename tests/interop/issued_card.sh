# A card issued by karta, in the hands of unmodified programs that know nothing of karta.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/issued_lib.sh"
profile=${1:-citizen}

step "an issuing centre issues a card ($profile)"
make_centre
[ "$profile" = citizen ] || cp "$(dirname "${BASH_SOURCE[0]}")/../../docs/examples/profiles/$profile.toml" "$KARTA_DIR/profiles/card/"
run "$KARTA_SIM" new "$work/card.image"
start_cards run "$work/card.image"
issue "001-001-999 65" "Reader 1" "$profile"

step "transport PINs are good for nothing but being changed"
refuse p11 --login --pin "$transport_pin1" --token-label "KARTA (PIN1)" --list-objects --type privkey
refuse karta-sign "$work/people.csv" --pin-fd 3 3<<<"$transport_pin1"
says "transport"
choose_pins "Reader 1"

step "pkcs15-tool --dump shows the whole card"
run pkcs15-tool --dump
says "KARTA" "AUT" "SIG" "QES" "ENC" "PIN1" "PIN2"
dumped=$(grep -c '^Private .* Key' "$work/out")
[ "$dumped" -eq 4 ] || no "four private keys expected, $dumped found"

step "pkcs11-tool --login --test, everyday and qualified"
# With an RSA key that wants its PIN each time pkcs11-tool 0.23 passes its signatures, then opens a session on a slot whose
# sessions it has closed and gives up (CKR_SESSION_HANDLE_INVALID). Such a key is tried below, signature by signature.
tokens=("KARTA (PIN1):$holder_pin1" "KARTA (PIN2):$holder_pin2")
[ "$profile" = citizen ] || tokens=("KARTA (PIN1):$holder_pin1")
for token in "${tokens[@]}"; do
  run p11 --login --pin "${token##*:}" --token-label "${token%:*}" --test
  says "No errors"
done

step "every signature key signs, and openssl verifies with the certificate's key"
ids=$(pkcs15-tool --list-keys 2>/dev/null | awk '/^Private/ { label = $0; sub(/.*\[/, "", label); sub(/\].*/, "", label) } /^\tID +:/ { print label "=" $NF }')
id_of() { awk -F= -v name="$1" '$1 == name && !seen++ { print substr($0, length(name) + 2) }' <<<"$ids"; }
run pkcs15-tool --list-keys
family=ec
! grep -q 'Private RSA' "$work/out" || family=rsa
for role in AUT SIG QES; do
  id=$(id_of "$role")
  [ -n "$id" ] || no "no identifier for $role in: $ids"
  run karta card read "$role"
  openssl x509 -in "$work/out" -noout -pubkey >"$work/$id.pem"
  pin=$holder_pin1 token="KARTA (PIN1)"
  [ "$role" != QES ] || { pin=$holder_pin2 token="KARTA (PIN2)"; }
  if [ "$family" = ec ]; then
    sign_and_verify "$id" "$pin" "$token" ECDSA-SHA256 sha256 --signature-format openssl
  else
    sign_and_verify "$id" "$pin" "$token" SHA256-RSA-PKCS sha256
    sign_and_verify "$id" "$pin" "$token" SHA256-RSA-PKCS-PSS sha256 --salt-len 32
  fi
done

step "ENC deciphers or agrees, and nothing else"
id=$(id_of ENC)
run karta card read ENC
cp "$work/out" "$work/enc.crt"
openssl x509 -in "$work/enc.crt" -noout -pubkey >"$work/enc.pem"
if [ "$family" = ec ]; then
  run openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/other.key"
  run openssl pkey -in "$work/other.key" -pubout -outform DER -out "$work/other.pub"
  run p11 --login --pin "$holder_pin1" --token-label "KARTA (PIN1)" --derive --id "$id" --mechanism ECDH1-DERIVE \
    --input-file "$work/other.pub" --output-file "$work/shared.card"
  run openssl pkeyutl -derive -inkey "$work/other.key" -peerkey "$work/enc.pem" -out "$work/shared.openssl"
  cmp "$work/shared.card" "$work/shared.openssl" || no "the two shared secrets differ"
else
  echo "a message for the holder" >"$work/message"
  run openssl pkeyutl -encrypt -pubin -inkey "$work/enc.pem" -in "$work/message" -out "$work/cryptogram"
  run p11 --login --pin "$holder_pin1" --token-label "KARTA (PIN1)" --decrypt --id "$id" --mechanism RSA-PKCS \
    --input-file "$work/cryptogram" --output-file "$work/plain"
  cmp "$work/message" "$work/plain" || no "deciphered to something else"
fi

step "a qualified key drops its PIN after each signature"
id=$(id_of QES)
echo text >"$work/text"
head -c 32 /dev/zero >"$work/digest"
# One login, two signatures in one session: the second must be refused without a new PIN.
script=$work/two.apdus
qes_file=$(pkcs15-tool --list-keys 2>/dev/null | awk '/\[QES/ { found = 1 } found && /Path/ { print $NF; exit }')
qes_file=${qes_file##*/}
fid=${qes_file: -4}
pin_hex=$(printf '%s' "$holder_pin2" | od -An -tx1 | tr -d ' \n')ffff
algorithm=04; [ "$family" = ec ] || algorithm=02
run opensc-tool --send-apdu 00A404000CA000000063504B43532D3135 \
  --send-apdu "0020000208$pin_hex" \
  --send-apdu "002241B60A8001${algorithm}8102${fid}840100" --send-apdu "002A9E9A20$(printf '00%.0s' {1..32})00" \
  --send-apdu "002241B60A8001${algorithm}8102${fid}840100" --send-apdu "002A9E9A20$(printf '00%.0s' {1..32})00"
grep -o 'SW1=0x[0-9A-F]*, SW2=0x[0-9A-F]*' "$work/out" >"$work/words"
[ "$(sed -n 4p "$work/words" | grep -cE 'SW1=0x(90|61)')" -eq 1 ] || { cat "$work/out"; no "the first qualified signature was to succeed"; }
[ "$(sed -n 6p "$work/words")" = "SW1=0x69, SW2=0x82" ] || { cat "$work/out"; no "the second qualified signature was to be refused"; }

step "OpenSC changes and unblocks a PIN"
run pkcs15-tool --change-pin --auth-id 01 --pin "$holder_pin1" --new-pin 741852
run pkcs15-tool --change-pin --auth-id 01 --pin 741852 --new-pin "$holder_pin1"
for wrong in 111119 111118 111117; do refuse pkcs15-tool --verify-pin --auth-id 01 --pin $wrong; done
run karta card info
says "blocked"
run pkcs15-tool --unblock-pin --auth-id 01 --puk "${puk:0:8}" --new-pin "$holder_pin1"
run pkcs15-tool --verify-pin --auth-id 01 --pin "$holder_pin1"

step "karta unblocks with the ten digits of the letter"
for wrong in 111119 111118 111117; do refuse pkcs15-tool --verify-pin --auth-id 02 --pin $wrong; done
run karta card unblock --pin 2 --pin-fd 3 3<<<"$puk"$'\n'"$holder_pin2"

step "p11tool lists and signs"
provider=$(echo /usr/lib/*/opensc-pkcs11.so)
run p11tool --provider "$provider" --list-token-urls
says "KARTA"
url=$(awk '/PIN1/ && !seen++' "$work/out")
run p11tool --provider "$provider" --login --set-pin "$holder_pin1" --list-all "$url"
says "AUT" "SIG"
key=$(p11tool --provider "$provider" --login --set-pin "$holder_pin1" --list-all-privkeys --only-urls "$url" 2>/dev/null | awk '/object=SIG/ && !seen++')
run p11tool --provider "$provider" --login --set-pin "$holder_pin1" --test-sign "$key"

step "ssh-keygen -D lists the keys"
run ssh-keygen -D "$provider"
[ "$(grep -cE '^(ssh-rsa|ecdsa-sha2)' "$work/out")" -ge 3 ] || { cat "$work/out"; no "fewer keys than expected"; }

step "openssl with the pkcs11 engine signs"
export PKCS11_MODULE_PATH=$provider
uri="pkcs11:token=KARTA%20%28PIN1%29;id=%$(id_of SIG);type=private;pin-value=$holder_pin1"
run openssl dgst -engine pkcs11 -keyform engine -sha256 -sign "$uri" -out "$work/signature" "$work/text"
run openssl dgst -sha256 -verify "$work/$(id_of SIG).pem" -signature "$work/signature" "$work/text"

step "nobody can create, delete or wipe on an issued card"
run opensc-tool --send-apdu 00A404000CA000000063504B43532D3135 --send-apdu 00DA01E0080000000000000000 \
  --send-apdu 00DA010113313233343536FFFF3132333435363738030A00
grep -o 'SW1=0x[0-9A-F]*, SW2=0x[0-9A-F]*' "$work/out" >"$work/words"
for line in 2 3; do grep -q 'SW1=0x69' <(sed -n ${line}p "$work/words") || { cat "$work/out"; no "an administrative command was let through"; }; done
refuse pkcs15-init --erase-card --use-default-transport-keys

echo "passed: $profile"
