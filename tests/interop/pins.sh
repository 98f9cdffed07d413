#!/usr/bin/env bash
# PINs through unmodified OpenSC on a blank card: changing, blocking, unblocking; a user-consent key drops its PIN after
# each signature.
. "$(dirname "$0")/lib.sh"

"$KARTA_SIM" new "$work/a.card" >/dev/null
start_cards run "$work/a.card"
step "a card with a signature key and a user-consent key"
init_card
generate ec/prime256v1 45 everyday sign
generate ec/prime256v1 46 qualified sign 2 $pin2 --user-consent 1
run pkcs15-init --finalize
public_key 45
public_key 46

step "a changed PIN works, the old one does not"
run pkcs15-tool --change-pin --auth-id 01 --pin $pin1 --new-pin 13579
refuse pkcs15-tool --verify-pin --auth-id 01 --pin $pin1
run pkcs15-tool --verify-pin --auth-id 01 --pin 13579
run p11 --login --pin 13579 --token-label "KARTA (auth PIN)" --change-pin --new-pin $pin1
run pkcs15-tool --verify-pin --auth-id 01 --pin $pin1

step "tries run down, and asking for them costs none"
refuse pkcs15-tool --verify-pin --auth-id 01 --pin 000000
for times in 1 2 3; do [ "$(tries 01)" = 2 ] || no "the tries are not 2"; done
refuse pkcs15-tool --verify-pin --auth-id 01 --pin 000000
refuse pkcs15-tool --verify-pin --auth-id 01 --pin 000000
refuse pkcs15-tool --verify-pin --auth-id 01 --pin $pin1
says "blocked"
[ "$(tries 01)" = 0 ] || no "the PIN is not blocked"

step "power and pcscd do not give tries back"
tell remove
tell insert
refuse pkcs15-tool --verify-pin --auth-id 01 --pin $pin1
run pkcs15-tool --verify-pin --auth-id 02 --pin $pin2

step "the PUK unblocks; a wrong one does not"
refuse pkcs15-tool --unblock-pin --auth-id 01 --puk 00000000 --new-pin 222222
run pkcs15-tool --unblock-pin --auth-id 01 --puk $puk1 --new-pin 222222
run pkcs15-tool --verify-pin --auth-id 01 --pin 222222
sign_and_verify 45 222222 "KARTA (auth PIN)" ECDSA-SHA256 sha256 --signature-format openssl

step "the user-consent key wants its PIN each time"
run pkcs15-tool --list-keys
says "Private EC Key [qualified]"
before=$(grep -c '"command":"00200002' "$record")
sign_and_verify 46 $pin2 "KARTA (sign PIN)" ECDSA-SHA256 sha256 --signature-format openssl
# Logging in, and once more for the signature itself.
after=$(grep -c '"command":"00200002.*hidden_bytes' "$record")
[ "$after" -gt "$before" ] || no "the PIN was not asked for"
verify=00200002:08:363534333231FFFF
mse=$(grep -o '"command":"002241B6[0-9A-F]*"' "$record" | tail -1 | cut -d'"' -f4)
pso=$(grep -o '"command":"002A9E9A[0-9A-F]*"' "$record" | tail -1 | cut -d'"' -f4)
select=00A4040C0CA000000063504B43532D3135
step "the card itself refuses a second signature with one PIN"
run opensc-tool --send-apdu $select --send-apdu "$verify" --send-apdu "$mse" --send-apdu "$pso" --send-apdu "$pso" \
  --send-apdu "$verify" --send-apdu "$mse" --send-apdu "$pso"
grep -o 'SW1=0x[0-9A-F]*, SW2=0x[0-9A-F]*' "$work/out" | sed 's/SW.=0x//g; s/, //' >"$work/words"
printf '9000\n9000\n9000\n9000\n6982\n9000\n9000\n9000\n' >"$work/expected"
run diff "$work/expected" "$work/words"
