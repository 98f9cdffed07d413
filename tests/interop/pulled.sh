#!/usr/bin/env bash
# Cards pulled in mid-command, power cut inside memory writes, pcscd stopped and started, the simulator killed: programs end
# with an error rather than hang, and the card is as before or as after.
. "$(dirname "$0")/lib.sh"

"$KARTA_SIM" new "$work/a.card" >/dev/null
start_cards run "$work/a.card"
step "a card with a key"
init_card
generate ec/prime256v1 45 lasting sign
run pkcs15-init --finalize
public_key 45
still_good() { sign_and_verify 45 $pin1 "KARTA (auth PIN)" ECDSA-SHA256 sha256 --signature-format openssl; }
still_good

step "pulled in the middle of a signature"
for command in 1 5 20; do
  tell cut-power command=$command
  refuse timeout 60 pkcs11-tool --module $module --login --pin $pin1 --sign --id 45 --mechanism ECDSA-SHA256 \
    --input-file "$work/text" --output-file "$work/never"
  tell status
  says "out of the reader"
  tell insert
  still_good
done

step "power cut inside the writes of a key generation"
make_key() { timeout 60 pkcs15-init --generate-key ec/prime256v1 --auth-id 1 --id 77 --label torn --pin $pin1; }
stop_cards
for write in measure 1 2 3 4 6 8 12 40; do cp "$work/a.card" "$work/torn-$write.card"; done
start_cards run "$work/torn-measure.card"
# Which command of all that pkcs15-init sends is the one that generates?
before=$(grep -c '"command"' "$record")
run make_key
# (awk reads to the end: a reader that leaves early would fail the pipe.)
generate_at=$(awk -v from="$before" '/"command"/ { n++ } n > from && /"command":"0046/ && !at { at = n - from } END { print at }' "$record")
for write in 1 2 3 4 6 8 12 40; do
  tell swap "$work/torn-$write.card"
  tell cut-power command="$generate_at" write=$write
  refuse make_key
  case "$(grep -B1 '"event":"power-cut"' "$record" | tail -n 2)" in *'"command":"0046'*) ;; *) no "the cut missed the generation" ;; esac
  tell insert
  run pkcs15-tool --dump
  says "Private EC Key [lasting]"
  still_good
done
tell swap "$work/a.card"

step "wrong PINs with the power cut: no try is gained"
for write in 0 1 2 3 4; do
  before=$(tries 01)
  tell cut-power command=2 write=$write
  timeout 60 opensc-tool --send-apdu 00A4040C0CA000000063504B43532D3135 \
    --send-apdu 0020000108393939393939FFFF >"$work/out" 2>&1 || true
  tell insert
  left=$(tries 01)
  [ "$left" -le "$before" ] || no "$before tries became $left"
  run pkcs15-tool --verify-pin --auth-id 01 --pin $pin1
done

step "pcscd stopped and started again"
"$KARTA_PRIVATE_PCSCD" stop
refuse timeout 60 pkcs15-tool --dump
"$KARTA_PRIVATE_PCSCD" start
tell insert
still_good
step "pcscd restarted while a program works"
"$KARTA_PRIVATE_PCSCD" restart
tell insert
still_good

step "the simulator killed, and started again"
stop_cards KILL
start_cards run "$work/a.card"
still_good

step "an empty reader"
tell remove
refuse timeout 60 pkcs15-tool --dump
tell insert
still_good
