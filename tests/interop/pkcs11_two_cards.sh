# Two cards with the same label in two readers: serial numbers and URIs tell them apart, each signature is its own card's,
# also when the cards change readers, and one card's absence leaves the other alone.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
run "$KARTA_SIM" new "$work/1.card"
run "$KARTA_SIM" new "$work/2.card"
make_centre
start_cards run "$work/1.card" "$work/2.card"
people=("001-001-999 65" "001-002-000 15")
declare -A serial_of
step "two people's cards"
for n in 1 2; do
  issue "${people[$((n - 1))]}" "Reader $n"
  choose_pins "Reader $n"
  run karta card read AUT --reader "Reader $n"
  openssl x509 -in "$work/out" -noout -pubkey >"$work/card$n.pem"
done
pin=$holder_pin1

step "serial numbers tell the tokens apart"
run p11 --list-slots
# Which serial number is whose? The certificate says.
label=$(sed -n 's/^  token label *: //p' "$work/out" | grep PIN1 | sort -u)
serials=$(awk '/token label/ { everyday = /PIN1/ } /serial num/ && everyday { print $NF }' "$work/out")
[ "$(sort -u <<<"$serials" | wc -l)" -eq 2 ] || { cat "$work/out"; no "two serial numbers expected: $serials"; }
only_module
for serial in $serials; do
  run p11tool --export "pkcs11:serial=$serial;id=%01;type=cert"
  openssl x509 -in "$work/out" -noout -pubkey >"$work/this.pem"
  for n in 1 2; do ! cmp -s "$work/this.pem" "$work/card$n.pem" || serial_of[$n]=$serial; done
done
[ -n "${serial_of[1]-}" ] && [ -n "${serial_of[2]-}" ] || no "a card is not found by its serial number"

export PKCS11_MODULE_PATH=$module
echo "a text" >"$work/text"
signs() { # n: the card is found by its serial number, and the signature is its own
  run openssl dgst -engine pkcs11 -keyform engine -sha256 -sign "pkcs11:serial=${serial_of[$1]};token=$(percent "$label");id=%01;type=private?pin-value=$pin" \
    -out "$work/signature" "$work/text"
  run openssl dgst -sha256 -verify "$work/card$1.pem" -signature "$work/signature" "$work/text"
  refuse openssl dgst -sha256 -verify "$work/card$((3 - $1)).pem" -signature "$work/signature" "$work/text"
}
step "each card signs for its own holder"
signs 1
signs 2
step "one card out: the other stays"
tell remove 1
signs 2
refuse openssl dgst -engine pkcs11 -keyform engine -sha256 -sign "pkcs11:serial=${serial_of[1]};token=$(percent "$label");id=%01;type=private?pin-value=$pin" \
  -out "$work/signature" "$work/text"
tell insert 1
signs 1
step "the cards change readers"
stop_cards
start_cards run "$work/2.card" "$work/1.card"
signs 1
signs 2
echo "passed: two cards"
