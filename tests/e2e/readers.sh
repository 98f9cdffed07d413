# Readers, cards and pcscd coming and going under karta's programs: each ends with a clear error or goes on.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
issue "001-001-999 65" "Reader 1"
choose_pins "Reader 1"
echo text >"$work/text"
signs() { rm -f "$work/text.p7s"; run karta-sign "$work/text" --pin-fd 3 3<<<"$holder_pin1"; }
signs

step "the card is pulled in mid-command"
for command in 1 3 8 12; do
  rm -f "$work/text.p7s"
  tell cut-power command=$command
  ends 69 timeout 60 karta-sign "$work/text" --pin-fd 3 3<<<"$holder_pin1"
  says "error:" "hint:"
  [ ! -e "$work/text.p7s" ] || no "a signature without a card"
  put_back
  signs
done

step "the watch tells of every change, through a restart of pcscd"
karta reader watch --json >"$work/events" 2>"$work/watch.err" &
watch=$!
seen() { # words: waits until the events hold them
  local deadline=$((SECONDS + 30))
  until grep -qF -- "$1" "$work/events"; do
    [ $SECONDS -lt $deadline ] || { cat "$work/events" "$work/watch.err"; no "the watch never said $1"; }
    read -r -t 0.05 <> <(:) || true
  done
}
seen '"event":"card-inserted"'
: >"$work/events"
tell remove
seen '"event":"card-removed"'
tell insert
seen '"event":"card-inserted"'
"$KARTA_PRIVATE_PCSCD" stop
seen '"event":"pcscd-stopped"'
ends 69 karta card info
says "pcscd"
: >"$work/events"
"$KARTA_PRIVATE_PCSCD" start
seen '"event":"pcscd-started"'
tell insert
seen '"event":"card-inserted"'
put_back
kill -TERM $watch
wait $watch || no "the watch ended with $?"
signs

step "the simulator is killed and comes back"
stop_cards KILL
ends 69 karta card info
start_cards run "$work/a.card"
signs

step "a card that is no citizen card"
stop_cards
start_cards run "$work/a.card" --contactless
rm -f "$work/text.p7s"
ends 69 karta-sign "$work/text" --pin-fd 3 3<<<"$holder_pin1"
