# A department gets a part of a card of its own: offer, load, accept, write; the issuer carries and cannot read.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"

step "a card is issued"
run karta card issue --citizen "001-002-000 15" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"

step "department and card agree on keys, the issuer carries the messages"
department="department secret"
run karta domain offer "$work/lib" --aid F04B4152544110 --trust "$KARTA_DIR/ca/root.crt.pem" --reader "Reader 1" --passphrase-fd 3 3<<<"$department"
run karta domain load "$work/lib.offer" --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
ends 77 karta domain accept "$work/lib" --passphrase-fd 3 3<<<"another secret"
run karta domain accept "$work/lib" --passphrase-fd 3 3<<<"$department"
[ ! -e "$work/lib.half.pem" ] || no "the half of the agreement is still there"
run karta domain list --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
says F04B4152544110

step "the department writes its files alone"
echo books >"$work/books"
run karta domain write "$work/lib" "$work/books" --file 0101 --free --reader "Reader 1" --passphrase-fd 3 3<<<"$department"
run karta domain write "$work/lib" "$work/books" --file 0101 --free --reader "Reader 1" --passphrase-fd 3 3<<<"$department"
