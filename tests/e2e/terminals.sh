# Terminals: their certificates from the centre's authority, and what each role gets from an issued card.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
make_centre
run "$KARTA_SIM" new "$work/card.card"
start_cards run "$work/card.card"
terminals=$KARTA_DIR/terminals

step "an authority and a verifier are there; roles get certificates"
for role in clinic age-check transit; do
  run karta cv issue "$role" --passphrase-fd 3 3<<<"$passphrase"
  says "$terminals/"
done
ends 64 karta cv issue janitor --passphrase-fd 3 3<<<"$passphrase"
says "clinic" "official"
ends 77 karta cv issue clinic --passphrase-fd 3 3<<<"not the passphrase"
ends 73 karta cv issue cvca --passphrase-fd 3 3<<<"$passphrase"
says "karta cv link"
run karta cv show "$terminals/XXCLINIC00001.cvcert"
says "XXKDV00001" "read-dg4" "terminal sector"
run karta cv show "$terminals/XXCLINIC00001.cvcert" --json
says '"schema": "karta.cv.show/1"' '"holder": "XXCLINIC00001"'

step "a chain is checked as a card checks it"
run karta cv verify "$terminals/XXCLINIC00001.cvcert" "$terminals/XXKDV00001.cvcert"
says "valid" "read-dg4"
ends 77 karta cv verify "$terminals/XXCLINIC00001.cvcert"
ends 77 karta cv verify "$terminals/XXCLINIC00001.cvcert" "$terminals/XXKDV00001.cvcert" --at 2099-01-01
says "expired"
ends 77 karta cv verify "$terminals/XXCLINIC00001.cvcert" "$terminals/XXKDV00001.cvcert" --at 2099-01-01 --json
says '"valid": false'
head -c 100 "$terminals/XXKDV00001.cvcert" >"$work/short.cvcert"
ends 65 karta cv show "$work/short.cvcert"

step "a terminal's own key: request and certificate"
run karta cv request XXPHARMCY00009 --out "$work/pharmacy.cvreq" --key-out "$work/pharmacy.key.pem" --passphrase-fd 3 \
  3<<<$'a pharmacy\na pharmacy'
run karta cv issue pharmacy --request "$work/pharmacy.cvreq" --passphrase-fd 3 3<<<"$passphrase"
says "XXPHARMCY00009"
ends 73 karta cv issue pharmacy --request "$work/pharmacy.cvreq" --passphrase-fd 3 3<<<"$passphrase"

step "the clinic reads what is its to read, with the CAN"
issue "001-001-999 65" "Reader 1"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
[ ${#can} -eq 6 ] || no "the letter lacks the CAN"
run karta card read --as clinic --pseudonym --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says "genuine" "Пример" "Образцов" "1980-02-29" "signed by the issuer" "refused: the role has no right read-dg19" "pseudonym"
run karta card read --as clinic --json --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says '"schema": "karta.card.read/1"' '"state": "refused"' '"check": "signed"' '"role": "clinic"'

step "an age check learns one bit, a gate a pseudonym"
run karta card read --as age-check --age 18 --json --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says '"reached": true'
grep -c '"state": "read"' "$work/out" >"$work/count" || true
[ "$(cat "$work/count")" = 0 ] || no "an age check read a data group"
ends 77 karta card read --as clinic --age 18 --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
run karta card read --as transit --pseudonym --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says "pseudonym" "(transit)"

step "wrong CAN, wrong PIN, wrong passphrase, no certificate: each has its own answer"
wrong=000000
[ "$can" != 000000 ] || wrong=000001
ends 77 karta card read --as clinic --pin-fd 3 --passphrase-fd 4 3<<<"$wrong" 4<<<"$passphrase"
says "wrong CAN" "printed on the card"
ends 77 karta card read --as clinic --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"not the passphrase"
ends 66 karta card read --as counter --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says "karta cv issue counter"
choose_pins "Reader 1"
run karta card read --as clinic --with pin --pin-fd 3 --passphrase-fd 4 3<<<"$holder_pin1" 4<<<"$passphrase"
says "Пример"
ends 77 karta card read --as clinic --with pin --pin-fd 3 --passphrase-fd 4 3<<<"111222" 4<<<"$passphrase"
says "2 tries are left"

step "a new authority: the card follows the link, and goes on with the new one"
run karta cv link --passphrase-fd 3 3<<<"$passphrase"
says "XXKCVCA00002"
run karta cv issue clinic --passphrase-fd 3 3<<<"$passphrase"
says "XXCLINIC00002"
run karta card read --as clinic --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says "XXCLINIC00002" "Пример"
run karta card read --as clinic --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says "Пример"
