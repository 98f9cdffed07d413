#!/usr/bin/env bash
# Two cards of the same make in two readers at once, and in two slots of one reader: each keeps its own keys, also when both
# are used at the same time.
. "$(dirname "$0")/lib.sh"

"$KARTA_SIM" new "$work/a.card" --serial 0A >/dev/null
"$KARTA_SIM" new "$work/b.card" --serial 0B >/dev/null

both_cards() { # reader of a, reader of b
  local reader label
  declare -A reader_of=([a]=$1 [b]=$2)
  for label in a b; do
    reader=${reader_of[$label]}
    run pkcs15-init --reader "$reader" --create-pkcs15 --no-so-pin --label "card $label"
    run pkcs15-init --reader "$reader" --store-pin --auth-id 1 --label "auth PIN" --pin $pin1 --puk $puk1
    run pkcs15-init --reader "$reader" --generate-key ec/prime256v1 --auth-id 1 --id 45 --label "key of $label" --pin $pin1
    run pkcs15-init --reader "$reader" --finalize
    run pkcs15-tool --reader "$reader" --read-public-key 45 --output "$work/$label.pem"
    run pkcs15-tool --reader "$reader" --dump
    says "key of $label"
  done
  refuse cmp "$work/a.pem" "$work/b.pem"
}

# Signs on both at the same time, several times, and checks each against its own key.
race() {
  local label workers=()
  for label in a b; do
    (
      for times in 1 2 3 4 5; do
        printf 'text %s of %s\n' $times $label >"$work/$label.$times"
        p11 --login --pin $pin1 --token-label "card $label (auth PIN)" --sign --id 45 --mechanism ECDSA-SHA256 \
          --signature-format openssl --input-file "$work/$label.$times" --output-file "$work/$label.$times.sig" \
          >"$work/$label.out" 2>&1
        openssl dgst -sha256 -verify "$work/$label.pem" -signature "$work/$label.$times.sig" "$work/$label.$times" >/dev/null
      done
    ) &
    workers+=($!)
  done
  for worker in "${workers[@]}"; do
    wait "$worker" || { cat "$work"/?.out; no "signing on two cards at once"; }
  done
}

step "two readers"
start_cards run "$work/a.card" "$work/b.card"
both_cards "Karta Virtual Reader 1 00 00" "Karta Virtual Reader 2 00 00"
step "both at once"
race
step "an image in use is refused"
refuse "$KARTA_SIM" run "$work/a.card" --reader 2:1
says "in use by another simulator"
stop_cards

step "two slots of one reader, the cards exchanged"
start_cards run "$work/b.card" "$work/a.card" --reader 1 --reader 1:1
run pkcs15-tool --reader "Karta Virtual Reader 1 00 00" --dump
says "key of b"
run pkcs15-tool --reader "Karta Virtual Reader 1 00 01" --dump
says "key of a"
race

step "a card swapped for another"
stop_cards
start_cards run "$work/a.card"
tell swap "$work/b.card"
run pkcs15-tool --dump
says "key of b"
tell swap 1 "$work/a.card"
run pkcs15-tool --dump
says "key of a"
