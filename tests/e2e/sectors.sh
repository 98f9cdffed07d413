# Health and transit behind a real pcscd: what roles read, a security module in the second reader, trips and medicines,
# a card torn away in mid-commit, updates after issue, a department's application.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
make_centre
run "$KARTA_SIM" new "$work/a.card"
run "$KARTA_SIM" new "$work/sam.card"
run "$KARTA_SIM" new "$work/pharmacy.card"
run "$KARTA_SIM" new "$work/issuing.card"
run "$KARTA_SIM" new "$work/b.card"
start_cards run "$work/a.card" "$work/sam.card" "$work/pharmacy.card" "$work/issuing.card" "$work/b.card"
card="Reader 1" module="Reader 2" pharmacy="Reader 3"
masters=$KARTA_DIR/keys/transactions.key.pem

step "a citizen's card, a gate's module, a pharmacy's module"
issue "001-001-999 65" "$card"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta sam make --role gate --reader "$module" --passphrase-fd 3 --pin-fd 4 3<<<"$passphrase" 4<<<"246813"
run karta sam make --role pharmacy --reader "$pharmacy" --passphrase-fd 3 --pin-fd 4 3<<<"$passphrase" 4<<<"135724"
ends 69 karta sam make --role gate --reader "$module" --passphrase-fd 3 --pin-fd 4 3<<<"$passphrase" 4<<<"246813"
says "a security module already" "hint: a security module is made of a blank card"
ends 69 karta sam make --role gate --reader "$card" --passphrase-fd 3 --pin-fd 4 3<<<"$passphrase" 4<<<"246813"
says "issued already" "hint: a security module is made of a blank card"
ends 64 karta sam make --role barber --reader "$module" --passphrase-fd 3 --pin-fd 4 3<<<"$passphrase" 4<<<"246813"
for role in clinic pharmacy counter; do run karta cv issue "$role" --passphrase-fd 3 3<<<"$passphrase"; done
run karta cv show "$KARTA_DIR/terminals/XXPHARMCY00001.cvcert"
says "redeem-entitlements"

step "ten trips are sold, one is taken"
run karta transit sell --kind trips --amount 10 --product 2 --reader "$card" --masters "$masters" --keys-fd 3 --pin-fd 4 \
  --passphrase-fd 5 3<<<"$passphrase" 4<<<"$can" 5<<<"$passphrase"
says "has 10"
tap() { # more options
  karta transit tap --reader "$card" --sam "$module" --keys-fd 3 --gate 7 --zone 1 --pending "$work/pending" --json "$@" 3<<<"246813"
}
run tap --number 1
says '"decision": "open"' '"settled": false'
ends 77 karta transit tap --reader "$card" --sam "$module" --keys-fd 3 3<<<"999999"
ends 69 karta transit tap --reader "$card" --sam "$card" --keys-fd 3 3<<<"246813"
says "no security module"

step "the card is torn away in mid-commit: nothing is taken twice"
for command in 2 3 4 5; do
  tell cut-power 1 command=$command
  code=0
  tap --number $((10 + command)) >"$work/out" 2>&1 || code=$?
  put_back 1
  run tap --number $((20 + command)) --pass-back 0
  says '"decision": "open"'
done
[ -z "$(ls -A "$work/pending" 2>/dev/null)" ] || no "a commit is still pending though it was settled"

step "a medicine is granted, redeemed once for each package"
run karta card update --grant A10BA02:4711:2:2099-12-31 --concession --reader "$card" --passphrase-fd 3 3<<<"$passphrase"
says "granted"
redeem() {
  karta health redeem --medicine A10BA02 --reader "$card" --sam "$pharmacy" --keys-fd 3 --pin-fd 4 --passphrase-fd 5 --json "$@" \
    3<<<"135724" 4<<<"$can" 5<<<"$passphrase"
}
run redeem --prescription 77
says '"left": 1'
run redeem --number 2
says '"left": 0'
ends 77 redeem --number 3

step "the pharmacy's card torn away: whatever was written is settled, and redeemed once"
run karta card update --grant A10BA02:4711:2:2099-12-31 --reader "$card" --passphrase-fd 3 3<<<"$passphrase"
# A card that comes anew begins in the same state, and redeeming takes the same commands.
fresh() {
  tell remove 1
  put_back 1
}
fresh
recorded=$(grep -c '"card":1,"command"' "$record")
run redeem --number 10 --pending "$work/pharmacy"
says '"left": 1' '"settled": false'
commit=$(awk -v before="$recorded" '/"card":1,"command"/ { n++ } n > before && /"card":1,"command":"8[0-9A-F]34/ && !at { at = n - before } END { print at }' "$record")
fresh
tell cut-power 1 "command=$commit" write=99 # all written, and no answer
ends 69 redeem --number 11 --pending "$work/pharmacy"
says "nothing is taken twice"
[ -n "$(ls -A "$work/pharmacy")" ] || no "nothing is pending though the answer was lost"
put_back 1
run redeem --number 12 --pending "$work/pharmacy"
says '"left": 0' '"settled": true'
[ -z "$(ls -A "$work/pharmacy")" ] || no "a commit is still pending though it was settled"
ends 77 redeem --number 13 --pending "$work/pharmacy"

step "an insurance number that came after the card"
ends 66 karta card update --insurance --reader "$card" --passphrase-fd 3 3<<<"$passphrase"
says "knows no insurance number"
# A number of the region 99, which is none; its check digit is right.
cat >"$work/insured.csv" <<'CSV'
snils,family,given,patronymic,birth_date,enp,insurer
001-001-999 65,Образцов,Пример,Тестович,1980-02-29,9900000000000135,Выдуманная страховая
CSV
run karta citizen import --update "$work/insured.csv"
says "1 updated"
run karta card update --insurance --reader "$card" --passphrase-fd 3 3<<<"$passphrase"
says "the insurance record is the registry's"

step "each role is shown its own"
read_as() { # role
  run karta card read --as "$1" --reader "$card" --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
}
run karta health emergency --blood-group AB- --allergy 'penicillin;Z88.0' --reader "$card" --pin-fd 3 --passphrase-fd 4 \
  3<<<"$can" 4<<<"$passphrase"
read_as clinic
says "insurance 9900000000000135, Выдуманная страховая" "blood group AB-" "penicillin" "A10BA02" "prescription 77" "refused: the role has no right read-transit"
read_as pharmacy
says "A10BA02" "refused: the role has no right read-emergency"
read_as counter
says "concession" "gate 7" "refused: the role has no right read-emergency" "refused: the role has no right read-entitlements"
run karta card read --as counter --json --reader "$card" --pin-fd 3 --passphrase-fd 4 3<<<"$can" 4<<<"$passphrase"
says '"sell-transit"' '"journal"'

step "a department's whole application"
department="department secret"
run karta domain offer "$work/library" --aid F04B4152544110 --trust "$KARTA_DIR/ca/root.crt.pem" --reader "$card" --passphrase-fd 3 3<<<"$department"
run karta domain load "$work/library.offer" --reader "$card" --passphrase-fd 3 3<<<"$passphrase"
run karta domain accept "$work/library" --passphrase-fd 3 3<<<"$department"
(cd "$work" && run karta domain masters library --passphrase-fd 3 3<<<"$department")
profile=$tests/../docs/examples/profiles/library.toml
ends 64 karta domain apply "$work/library" "$profile" --reader "$card" --passphrase-fd 3 3<<<"$department"
run karta domain apply "$work/library" "$profile" --masters "$work/library.masters.pem" --reader "$card" --passphrase-fd 3 3<<<"$department"
says "2 files and a ledger"

step "a card whose ledgers' keys an issuing centre's module derives"
run karta sam make --role issuing --reader "Reader 4" --passphrase-fd 3 --pin-fd 4 3<<<"$passphrase" 4<<<"975312"
issue_with() { # module PIN
  karta card issue --citizen "001-002-000 15" --reader "Reader 5" --sam "$1" --keys-fd 4 --passphrase-fd 3 3<<<"$passphrase" 4<<<"$2"
}
ends 77 issue_with "Reader 4" 000000
ends 77 issue_with "$module" 246813
says "karta sam make --role issuing"
run issue_with "Reader 4" 975312
letter=$(sed -n 's/^letter //p' "$work/out")
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta transit sell --kind trips --amount 2 --product 2 --reader "Reader 5" --masters "$masters" --keys-fd 3 --pin-fd 4 \
  --passphrase-fd 5 3<<<"$passphrase" 4<<<"$can" 5<<<"$passphrase"
card="Reader 5"
run tap --number 91
says '"decision": "open"'

step "a gate by a region's rules"
run karta transit rules sign "$tests/../docs/examples/transit-rules.json" --out "$work/rules.p7s" --passphrase-fd 3 3<<<"$passphrase"
ends 1 karta transit tap --reader "$card" --sam "$module" --keys-fd 3 --gate 7 --rules "$work/rules.p7s" --number 92 --json 3<<<"246813"
says '"decision": "pass-back"'
ends 64 karta transit tap --reader "$card" --sam "$module" --keys-fd 3 --rules "$work/rules.p7s" --fare 5 3<<<"246813"
