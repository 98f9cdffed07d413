# Issuing: interrupted and taken up again, refused where it must be; PINs from the letter to the holder's own.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
make_centre
run "$KARTA_SIM" new "$work/a.card"
run "$KARTA_SIM" new "$work/b.card"
run "$KARTA_SIM" new "$work/c.card"
start_cards run "$work/a.card" "$work/b.card" "$work/c.card"

step "a blank card is called blank by every command that wants more"
echo text >"$work/text"
ends 69 karta-sign "$work/text" --reader "Reader 1"
says "blank" "karta card issue"
ends 69 karta card change-pin --reader "Reader 1"
ends 69 karta card unblock --reader "Reader 1"
ends 69 karta card read --reader "Reader 1"

step "the plan is shown before anything runs"
ends 69 karta card issue --dry-run --reader "No Such Reader"
run karta card issue --dry-run --reader "Reader 1"
says "create" "commands"
run karta card issue --dry-run --reader "Reader 1" --json
says '"schema": "karta.card.plan/1"'
planned=$(sed -n 's/^  "commands": \([0-9]*\),$/\1/p' "$work/out")
portrait=$(sed -n 's/^    "commands": \([0-9]*\),$/\1/p' "$work/out")  # the longest there may be; this citizen has none
planned=$((planned - portrait))

step "wrong passphrase, unknown citizen: the card stays blank"
ends 77 karta card issue --citizen "001-001-999 65" --reader "Reader 1" --passphrase-fd 3 3<<<"not the passphrase"
ends 66 karta card issue --citizen "001-002-001 16" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
ends 64 karta card issue --citizen "001-002-001 17" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
run karta card info --reader "Reader 1"
says "blank"

step "no room for the notes on a card in the making: what there is stays, and the card is taken up again"
cp "$KARTA_DIR/karta.toml" "$work/karta.toml"
mkdir "$work/narrow"
mount -t tmpfs -o size=8k none "$work/narrow"
sed -i "s|^folder = 'work'|folder = '$work/narrow'|" "$KARTA_DIR/karta.toml"
ends 74 karta card issue --citizen "001-001-999 65" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
says "No space left"
cp "$work"/narrow/*.card "$KARTA_DIR/work" || no "the note on the card in the making was lost"
umount "$work/narrow"
cp "$work/karta.toml" "$KARTA_DIR/karta.toml"

step "the power fails at many places of the issue; the card is made again under the same order"
for command in 6 20 35 48; do
  tell cut-power 1 command=$command
  refuse timeout 60 karta card issue --citizen "001-001-999 65" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
  put_back 1
done

step "another run holds the order: nothing is done"
order=$(head -n 1 "$KARTA_DIR"/work/*.card)
ends 75 flock "$KARTA_DIR/work/$order.lock" \
  karta card issue --citizen "001-001-999 65" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
says "another run"

issue "001-001-999 65" "Reader 1"
grep -q '"made_again": true' "$work/out" || no "the interrupted card was not recognised"
index=$(sed -n 's/^      "status_index": \([0-9]*\),$/\1/p' "$work/out")
[ -z "$(ls -A "$KARTA_DIR/work")" ] || no "a note of an unfinished card was left"
[ "$(ls "$KARTA_DIR/letters" | wc -l)" -eq 1 ] || no "one card, one letter"

step "an issued card cannot be issued again"
ends 69 karta card issue --citizen "001-002-000 15" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
says "issued already"

step "the certificates carry the status index and chain to the root"
run karta card read SIG --reader "Reader 1" --out "$work/sig.pem"
ends 73 karta card read SIG --reader "Reader 1" --out "$work/sig.pem"
run openssl verify -CAfile "$KARTA_DIR/ca/root.crt.pem" -untrusted "$KARTA_DIR/ca/issuing.crt.pem" "$work/sig.pem"
run karta card info --reader "Reader 1" --json
[ "$(grep -c "\"status_index\": $index" "$work/out")" -eq 4 ] || no "four certificates with status index $index expected"
ends 66 karta card read NOTHING --reader "Reader 1"

step "a name longer than commonName holds: family and initials there, the whole name beside it"
long=$(printf 'а%.0s' {1..40})
printf 'snils;family;given;patronymic;birth_date\n001-000-001 00;Ж%s;З%s;И%s;1980-01-01\n' "$long" "$long" "$long" >"$work/long.csv"
run karta citizen import "$work/long.csv"
run karta card issue --citizen "001-000-001 00" --reader "Reader 3" --passphrase-fd 3 3<<<"$passphrase"
run karta card read SIG --reader "Reader 3" --out "$work/long.pem"
run openssl x509 -in "$work/long.pem" -noout -subject -nameopt utf8,sep_multiline,-esc_msb
says "CN=Ж$long З. И." "SN=Ж$long" "GN=З$long И$long"

step "transport PINs sign nothing; the new PIN must keep to the rules"
echo text >"$work/text"
ends 77 karta-sign "$work/text" --reader "Reader 1" --pin-fd 3 3<<<"$transport_pin1"
says "transport" "change-pin"
for bad in 12345 123456789 12345a 111111 123456; do
  ends 65 karta card change-pin --reader "Reader 1" --pin-fd 3 3<<<"$transport_pin1"$'\n'"$bad"
done
choose_pins "Reader 1"
ends 77 karta card change-pin --reader "Reader 1" --pin-fd 3 3<<<"999999"$'\n'"258036"
says "2"

step "wrong PINs are counted, told, and unblocked with the PUK"
ends 77 karta-sign "$work/text" --reader "Reader 1" --pin-fd 3 3<<<"999999"
says "tries left: 1"
ends 77 karta-sign "$work/text" --reader "Reader 1" --pin-fd 3 3<<<"999999"
[ ! -e "$work/text.p7s" ] || no "a failed signature left a file"
ends 77 karta-sign "$work/text" --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
says "blocked" "unblock"
ends 77 karta card unblock --reader "Reader 1" --pin-fd 3 3<<<"0000000000"$'\n'"$holder_pin1"
run karta card unblock --reader "Reader 1" --pin-fd 3 3<<<"$puk"$'\n'"$holder_pin1"
run karta-sign "$work/text" --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"

step "many files, one PIN; the qualified key asks for each; nothing is overwritten"
for n in 1 2 3; do echo "text $n" >"$work/file$n"; done
run karta-sign "$work"/file[123] --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
ends 73 karta-sign "$work/file1" --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
says "nothing is overwritten"
run karta-sign "$work"/file[123] --key qualified --enveloping --json --reader "Reader 1" --pin-fd 3 \
  3<<<"$holder_pin2"$'\n'"$holder_pin2"$'\n'"$holder_pin2"
says '"schema": "karta.sign/1"'
rm "$work"/*.p7m
ends 75 karta-sign "$work"/file[12] --key qualified --reader "Reader 1" --enveloping --pin-fd 3 3<<<"$holder_pin2"
[ -e "$work/file1.p7m" ] && [ ! -e "$work/file2.p7m" ] || no "one PIN made another number of qualified signatures than one"
run karta verify "$work"/file[123].p7s "$work"/file1.p7m
for n in 1 2 3; do
  run openssl cms -verify -binary -inform DER -in "$work/file$n.p7s" -content "$work/file$n" -purpose any \
    -CAfile "$KARTA_DIR/ca/root.crt.pem" -out /dev/null
done
run openssl cms -verify -binary -inform DER -in "$work/file1.p7m" -purpose any -CAfile "$KARTA_DIR/ca/root.crt.pem" -out "$work/back"
cmp "$work/back" "$work/file1" || no "the enveloped content came back changed"

step "two cards of one profile in two readers, at once"
serial_a=$serial
issue "001-002-000 15" "Reader 2"
[ "$serial" != "$serial_a" ] || no "two cards have one serial"
# As many commands as planned, and those that open the card and read it back.
commands=$(sed -n 's/^      "commands": \([0-9]*\),$/\1/p' "$work/out")
[ "$commands" -ge "$planned" ] && [ "$commands" -le $((planned + 20)) ] || no "$commands commands, $planned were planned"
choose_pins "Reader 2"
ends 64 karta card info
says "several readers" "--reader"
workers=()
for reader in 1 2; do
  (
    for n in 1 2 3 4 5; do
      echo "$reader $n" >"$work/r$reader.$n"
      karta-sign "$work/r$reader.$n" --reader "Reader $reader" --pin-fd 3 3<<<"$holder_pin1"
    done
  ) >"$work/worker$reader" 2>&1 &
  workers+=($!)
done
for worker in "${workers[@]}"; do wait "$worker" || { cat "$work"/worker?; no "signing on two cards at once"; }; done
run karta verify "$work"/r[12].[12345].p7s
grep -q 'Образцов' <(karta verify "$work/r1.1.p7s") && grep -q 'Примерова' <(karta verify "$work/r2.1.p7s") || no "the wrong card signed"
