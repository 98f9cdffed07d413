# A portrait's way: from a file beside the list of citizens into the registry, onto a card, and off it by who may.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
examples=$tests/../docs/examples
citizen="990-000-001 53"

step "pictures are imported, wrong ones named with what to do"
cp "$examples/citizens.csv" "$work/people.csv"
ends 65 karta citizen import "$work/people.csv"
ends 65 karta citizen import "$examples/portraits/citizens.csv" --rejected "$work/differs"
says "is registered with other data in portrait" "--update"
run karta citizen import "$examples/portraits/citizens.csv" --update
says "3 updated"
run karta citizen import "$examples/portraits/citizens.csv"
says "3 unchanged"
head -c 9000 "$examples/portraits/99000000153.jpg" >"$work/cut.jpg"
ends 65 karta citizen portrait "$citizen" --set "$work/cut.jpg"
says "ends in the middle" "hint:"
ends 64 karta citizen portrait "$citizen"

step "who looks says what for"
run karta citizen show "$citizen" --purpose complaint --case 17
says "portrait    there is one" "Образцов Пример Тестович"
run karta citizen show "001-001-999 65" --purpose complaint --case 17 --json
says '"portrait": false'
ends 64 karta citizen portrait "$citizen" --out "$work/out.jpg"
run karta citizen portrait "$citizen" --out "$work/out.jpg" --purpose complaint --case 17
cmp "$work/out.jpg" "$examples/portraits/99000000153.jpg" || no "the picture came out changed"
ends 73 karta citizen portrait "$citizen" --out "$work/out.jpg" --purpose complaint --case 17

step "it goes onto the card, and off it by who has the right"
run karta card issue --dry-run --reader "Reader 1"
says "write data group 14, portrait" "of these the longest portrait there may be"
issue "$citizen" "Reader 1"
says '"portrait": {'
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
for role in clinic pharmacy; do run karta cv issue "$role" --passphrase-fd 3 3<<<"$passphrase"; done
read_as() { # role, more options
  karta card read --as "$1" --reader "Reader 1" --pin-fd 3 --passphrase-fd 4 "${@:2}" 3<<<"$can" 4<<<"$passphrase"
}
run read_as clinic --portrait "$work/clinic.jpg"
says "DG14  portrait" "JPEG, 11007 octets" "signed by the issuer"
cmp "$work/clinic.jpg" "$work/out.jpg" || no "the card's picture is another one"
run read_as pharmacy --portrait "$work/pharmacy.jpg"
says "the role has no right read-dg14"
[ ! -e "$work/pharmacy.jpg" ] || no "a pharmacy has a picture"
run read_as clinic
! grep -q "JPEG" "$work/out" || no "a picture was read that nobody asked for"

step "taken away from the registry; cards keep theirs"
run karta citizen portrait "$citizen" --remove
ends 66 karta citizen portrait "$citizen" --remove
run read_as clinic --portrait "$work/again.jpg"
