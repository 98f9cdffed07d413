#!/usr/bin/env bash
# karta-sim itself: its verbs, exit codes and errors; a farm that fills every reader; contactless cards; readers set up by
# its own verb.
. "$(dirname "$0")/lib.sh"

# ends CODE WORDS...: the last words of the command line are refused with this exit code, an error and a hint.
ends() {
  local expected=$1 code=0
  shift
  "$KARTA_SIM" "$@" >"$work/out" 2>&1 || code=$?
  [ "$code" -eq "$expected" ] || { cat "$work/out"; no "karta-sim $* ended with $code, not $expected"; }
  says "error: "
  says "hint: "
}

step "errors have their exit codes"
run "$KARTA_SIM" new "$work/a.card" --serial 0102030405060708090A
says 0102030405060708090A
ends 73 new "$work/a.card"
ends 64 new
ends 64 new "$work/b.card" --wrong
ends 64
ends 65 new "$work/b.card" --serial xyz
[ ! -e "$work/b.card" ] || no "a card was made nevertheless"
ends 66 run "$work/missing.card"
echo "%PDF-1.7" >"$work/letter.pdf"
ends 65 run "$work/letter.pdf"
ends 64 run "$work/a.card" --reader 9
ends 64 run "$work/a.card" --reader 1 --reader 2
ends 64 farm --readers 9
ends 66 setup-readers "$work/readers" --driver "$work/none.so"
ends 66 control "$work/nobody" status
run "$KARTA_SIM" --help
says setup-readers
run "$KARTA_SIM" run --help
says --record

step "a damaged card is told from a missing reader"
cp "$work/a.card" "$work/damaged.card"
dd if=/dev/zero of="$work/damaged.card" bs=4096 seek=2 count=24 conv=notrunc status=none
ends 69 run "$work/damaged.card"
says "card 1 does not start"

step "a card in sixteen readers"
start_cards farm --readers 8 --both-slots --dir "$work/farm"
run opensc-tool --list-readers
[ "$(grep -c ' Yes ' "$work/out")" -eq 16 ] || no "not sixteen cards"
serial_in() { run opensc-tool --reader "Karta Virtual Reader $1 00 0$2" --serial; tail -n 1 "$work/out"; }
serial_in 5 1 >"$work/before"
for reader in 1 2 3 4 5 6 7 8; do
  for slot in 0 1; do serial_in $reader $slot; done
done | sort -u >"$work/serials"
[ "$(wc -l <"$work/serials")" -eq 16 ] || no "cards look alike"
code=0
kill -TERM "$simulator"
wait "$simulator" || code=$?
simulator=
[ $code -eq 0 ] || no "stopped with $code"
# pcscd notices at its next look.
no_card_left() { run opensc-tool --list-readers; ! grep -q ' Yes ' "$work/out"; }
deadline=$((SECONDS + 20))
until no_card_left; do [ $SECONDS -lt $deadline ] || no "cards stayed behind"; done

step "they are the same cards the next day"
start_cards farm --readers 8 --both-slots --dir "$work/farm"
serial_in 5 1 >"$work/after"
run cmp "$work/before" "$work/after"
tell quit
wait "$simulator"
simulator=

step "a contactless card"
run "$KARTA_SIM" new "$work/tap.card" --contactless
start_cards run "$work/tap.card" "$work/a.card"
run opensc-tool --reader "Karta Virtual Reader 1 00 00" --atr
if grep -qi '4F:73:45:49:44' "$work/out"; then no "the contactless answer invites OpenSC"; fi
run opensc-tool --reader "Karta Virtual Reader 2 00 00" --atr
says 4f:73:45:49:44
stop_cards

step "commands from standard input, and a ready file"
mkfifo "$work/words"
"$KARTA_SIM" run "$work/a.card" --quiet --control - --ready-file "$work/ready" <"$work/words" >"$work/answers" &
simulator=$!
exec {words}>"$work/words"
echo status >&"$words"
echo nonsense >&"$words"
echo quit >&"$words"
exec {words}>&-
wait "$simulator"
simulator=
run cat "$work/answers"
says "card 1: reader 1 slot 0" "error: unknown command"

step "readers set up by karta-sim"
"$KARTA_PRIVATE_PCSCD" stop
run "$KARTA_SIM" setup-readers "$work/readers" --readers 2
says "Karta Virtual Reader 2 00 01"
pcscd --foreground --config "$work/readers" >"$work/pcscd.log" 2>&1 &
daemon=$!
start_cards run "$work/a.card" --reader 2:1
run opensc-tool --list-readers
grep -q 'Yes .*Karta Virtual Reader 2 00 01' "$work/out" || { cat "$work/out"; no "the card is not in reader 2, slot 1"; }
stop_cards
kill "$daemon"
wait "$daemon" || true
