# The module on a contactless reader: the number printed on the card is given once, and every program that loads the
# module signs over the encrypted channel.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
step "a card issued over its contacts: ${1:-citizen}"
card_in_hand "${1:-citizen}"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
[ ${#can} -eq 6 ] || no "the letter tells no CAN"
stop_cards
start_cards run "$work/card.image" --contactless
await_card "Reader 1"

step "without its number the card is no token, and says nothing"
export XDG_CONFIG_HOME=$work/config
refuse p11 --token-label "$everyday" --list-objects
refuse karta card info

step "a wrong number is not kept"
refuse karta pkcs11 can --pin-fd 3 3<<<000000
[ ! -e "$XDG_CONFIG_HOME/karta/cans" ] || no "a wrong number was kept"

step "the number is given once, and kept for its owner alone"
run karta pkcs11 can --pin-fd 3 3<<<"$can"
says "$serial"
[ "$(stat -c %a "$XDG_CONFIG_HOME/karta/cans")" = 600 ] || no "others can read the number"

step "programs sign"
sign_and_verify 01 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl
sign_and_verify 02 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl

step "another program breaks the channel between their signatures"
"$KARTA_STRESS" sign --module "$module" --token "$everyday" --pin "$pin" --key "01=$work/01.pem" --threads 4 --rounds 200 >"$work/stress.out" 2>&1 &
signing=$!
while kill -0 $signing 2>/dev/null; do
  run opensc-tool --send-apdu 00A4000C023F00
done
wait $signing || { cat "$work/stress.out"; no "signing was disturbed"; }

step "a number from the environment takes the file's place"
refuse env KARTA_CAN=000000 pkcs11-tool --module "$module" --token-label "$everyday" --list-objects
run env XDG_CONFIG_HOME="$work/nowhere" KARTA_CAN="$can" pkcs11-tool --module "$module" --token-label "$everyday" --list-objects
echo "passed: contactless"
