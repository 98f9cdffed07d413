# An issuing centre and its citizens: what goes right, and what is said when something goes wrong. No card needed.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work"
unset KARTA_DIR

step "wrong calls end with 64 and say where help is"
ends 64 karta nonsense
says "error:" "hint:" "karta --help"
ends 64 karta card nonsense
says "karta card --help"
ends 64 karta
ends 0 karta --help
ends 0 karta card issue --help
ends 0 karta --version

says_help() { grep -q "^Usage: $1 " "$work/out" || { cat "$work/out"; no "the help does not name \"$1\""; }; }
run karta card issue --help
says_help "karta card issue"
ends 64 karta card
says_help "karta card"
for words in --help "card issue --help" --version; do
  # shellcheck disable=SC2086
  code=0; karta $words >/dev/full 2>"$work/out" || code=$?
  [ $code -eq 74 ] || no "output that got lost ended with $code: karta $words"
done
ends 64 karta init c --passphrase-fd -1
says '"-1" is no file descriptor'
ends 64 setsid karta init "" </dev/null
says "the folder has no name"
ends 66 setsid karta init nowhere/c </dev/null
ends 64 setsid karta init c --country ru </dev/null
ends 64 setsid karta init c --name "$(printf 'Ж%.0s' {1..54})" </dev/null
says "53 characters"

step "a passphrase is asked for, never taken from the command line"
ends 64 setsid karta init c </dev/null
says "there is no terminal" "--passphrase-fd"
ends 64 karta init c --passphrase-fd 3 3<<<short
says "too short"
[ ! -e c ] || no "a failed init left a folder"
ends 75 karta init c --passphrase-fd 3 3</dev/null

step "init makes a centre once"
run karta init c --name 'Centre "of" tests' --country XX --passphrase-fd 3 3<<<"$passphrase"
ends 73 karta init c --passphrase-fd 3 3<<<"$passphrase"
says "not empty"
run openssl verify -CAfile c/ca/root.crt.pem c/ca/issuing.crt.pem
[ "$(stat -c %a c/keys/root.key.pem)" = 600 ] || no "the root's key can be read by others"
refuse openssl pkey -in c/keys/root.key.pem -passin pass:wrong -noout
run openssl pkey -in c/keys/root.key.pem -passin "pass:$passphrase" -noout
ends 66 karta citizen import "$tests/../docs/examples/citizens.csv" --dir nowhere
says "karta init"

step "a configuration with a fault is named by line and key"
cp -r c broken
sed -i 's/^country/cuontry/' broken/karta.toml
ends 78 karta citizen find ab --purpose test --case 1 --dir broken
says "line" "centre.cuontry"

step "citizens: good lines in, bad lines out, twice the same is no change"
cp "$tests/../docs/examples/citizens.csv" people.csv
good=$(($(wc -l <people.csv) - 2))
ends 65 karta citizen import people.csv --dir c --json
says '"schema": "karta.citizen.import-summary/1"' "\"created\": $good" '"rejected": 1'
rm people.csv.rejected
ends 65 karta citizen import people.csv --dir c
says "people.csv:" "$((good + 1)) lines: $good unchanged, 1 rejected"
[ -s people.csv.rejected ] || no "the bad line was not kept"
[ "$(wc -l <people.csv.rejected)" -eq 2 ] || no "the file of bad lines is not header and line"
ends 73 karta citizen import people.csv --dir c
rm people.csv.rejected
ends 65 karta citizen import people.csv --dir c --json --report report.json
says "\"unchanged\": $good" '"created": 0'
grep -q '"karta.citizen.import/1"' report.json || no "the report lacks its schema"

step "corrected lines go in"
bad_line=$(tail -n 1 people.csv.rejected)
snils=${bad_line%%;*}
wrong=${snils: -2}
for digits in $(seq -w 0 99); do
  { head -n 1 people.csv; printf '%s\n' "${snils%??}$digits${bad_line#"$snils"}"; } >corrected.csv
  [ "$digits" != "$wrong" ] || continue
  if karta citizen import corrected.csv --dir c --rejected /dev/null/no --dry-run >/dev/null 2>&1; then break; fi
done
run karta citizen import corrected.csv --dir c --json
says '"created": 1'

step "files that cannot be read are refused whole, with what to do"
printf '\xff\xfes\0n\0i\0l\0s\0' >utf16.csv
ends 65 karta citizen import utf16.csv --dir c
says "hint:"
iconv -c -f UTF-8 -t CP1251 people.csv >cp1251.csv
ends 65 karta citizen import cp1251.csv --dir c
says "hint:"
printf 'a;b;c\n1;2;3\n' >columns.csv
ends 65 karta citizen import columns.csv --dir c
ends 66 karta citizen import nowhere.csv --dir c
{ printf '\xef\xbb\xbf'; sed 's/$/\r/' corrected.csv; } >bom.csv
run karta citizen import bom.csv --dir c --json
says '"unchanged": 1'

step "reading personal data states a purpose"
ends 64 karta citizen find Об --dir c
run karta citizen find Об --purpose "test of the search" --case 1 --dir c --json
says '"schema": "karta.citizen.find/1"' 'Образцов'

step "no pcscd, no card: said plainly"
"$KARTA_PRIVATE_PCSCD" stop
ends 69 karta reader list
says "pcscd" "hint:"
ends 69 karta card info
ends 69 karta-sign people.csv
"$KARTA_PRIVATE_PCSCD" start
ends 69 karta card info
says "empty"
ends 69 karta card info --reader "No Such Reader"
says "no reader is called"
ends 66 karta-sign nowhere.pdf
says "nowhere.pdf"
