# The life of a card in the registry, and the stop-lists that tell gates of it: made, applied, looked up, refused.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work"
field() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$work/out"; }
list() { printf '%s/stop-lists/%010d.stop-list' "$KARTA_DIR" "$1"; }
make_list() { run karta stop-list "$@" --json --passphrase-fd 3 3<<<"$passphrase"; }
signer=$KARTA_DIR/ca/issuing.crt.pem
check() { # EXIT WORD OPTIONS...
  local wanted=$1 word=$2
  shift 2
  ends "$wanted" karta stop-list check "$@" --signer "$signer"
  says "$word"
}

step "a centre and two cards"
make_centre
run "$KARTA_SIM" new "$work/one.card" && run "$KARTA_SIM" new "$work/two.card"
start_cards run "$work/one.card" "$work/two.card"
issue 00100199965 "Reader 1"
one=$serial one_index=$(karta card status "$serial" --json | sed -n 's/.*"status_index": \([0-9]*\).*/\1/p')
issue 00100200015 "Reader 2"
two=$serial two_index=$(karta card status "$serial" --json | sed -n 's/.*"status_index": \([0-9]*\).*/\1/p')
[ -n "$one_index" ] && [ -n "$two_index" ] || no "a card has no status index"

step "cards take the steps of their life, and no others"
ends 77 karta card resume "$one" --why test
says "only a suspended card"
for card in "$one" "$two"; do
  run karta card ship "$card" --why "sent by post"
  run karta card activate "$card" --why "handed over"
done
ends 77 karta card ship "$one" --why again
ends 66 karta card suspend 00000000000000000000 --why nobody
ends 64 karta card suspend "$one"
says "--why"

step "--dir stands above KARTA_DIR: no other centre's card is suspended, no other centre's list made"
mkdir nowhere
for deed in "card suspend $one --why test" "card revoke $one --why test" "stop-list build" "stop-list delta"; do
  # shellcheck disable=SC2086
  ends 66 karta $deed --dir nowhere
  says "no issuing centre in \"nowhere\""
done
[ ! -e "$(list 1)" ] || no "a list was made in the centre of KARTA_DIR"

step "a full list with nobody on it"
make_list build
[ "$(field epoch)" = 1 ] && [ "$(field stopped)" = 0 ] || no "not an empty first list"
check 0 good "$(list 1)" --index "$one_index" --index "$two_index"
check 2 unknown "$(list 1)" --index 999999999

step "a lost card is suspended, then found; another is revoked"
run karta card suspend "$one" --why "lost, says the citizen"
says "stop-list"
make_list delta
check 1 stopped "$(list 1)" --delta "$(list 2)" --index "$one_index"
check 0 good "$(list 1)" --delta "$(list 2)" --index "$two_index"
run karta card resume "$one" --why "found in a coat"
run karta card revoke "$two" --why "stolen" --reason keyCompromise
run karta card status "$two" --json
[ "$(field state)" = revoked ] && [ "$(field revocation_reason)" = keyCompromise ] || no "the card is not revoked"
ends 77 karta card activate "$two" --why "no way back"
make_list delta --incremental
[ "$(field listed)" = 2 ] || no "an incremental delta lists both changes"
check 0 good "$(list 1)" --delta "$(list 2)" --delta "$(list 3)" --index "$one_index"
check 1 stopped "$(list 1)" --delta "$(list 2)" --delta "$(list 3)" --index "$two_index"
make_list delta
[ "$(field listed)" = 1 ] || no "a delta on the full list lists what is still different"
check 1 stopped "$(list 1)" --delta "$(list 4)" --index "$two_index"
make_list build
check 1 stopped "$(list 5)" --index "$two_index"
run karta stop-list verify "$(list 5)" --signer "$signer" --in-use "$(list 1)"
run karta stop-list info "$(list 4)"
says "delta" "on epoch 1"

step "what is refused: old, foreign, skipped, changed"
ends 77 karta stop-list verify "$(list 1)" --signer "$signer" --in-use "$(list 5)"
says "epoch"
refuse karta stop-list check "$(list 1)" --delta "$(list 3)" --signer "$signer" --index "$one_index"
says "epoch 2"
refuse karta stop-list check "$(list 4)" --signer "$signer" --index "$one_index"
refuse karta stop-list verify "$(list 5)" --signer "$KARTA_DIR/ca/root.crt.pem"
(unset KARTA_DIR && cd / && refuse karta stop-list verify "$(KARTA_DIR=$work/centre && list 5)" && says "no trust data") || exit 1
cp "$(list 5)" changed.stop-list
printf '\377' | dd of=changed.stop-list bs=1 seek=40 conv=notrunc status=none
refuse karta stop-list verify changed.stop-list --signer "$signer"
head -c 100 "$(list 5)" >short.stop-list
refuse karta stop-list info short.stop-list
refuse karta stop-list info /dev/null
says "no stop-list"
