# A centre whose registry is in PostgreSQL, beside another process that works on it: what karta init refuses, what it
# says when the database is away, and a year of twenty cards. Runs under with_postgres.sh.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/server_lib.sh"
cd "$work"

step "what cannot be a registry is refused, with the next step"
init=(karta init "$KARTA_DIR" --name "Interop Centre" --country XX)
ends 64 "${init[@]}" --database registry.sqlite --passphrase-fd 3 3<<<"$passphrase"
says "names no database server"
ends 64 "${init[@]}" --database "postgresql://karta:geheim@127.0.0.1/karta" --passphrase-fd 3 3<<<"$passphrase"
says "passfile"
! grep -q geheim "$work/out" || no "the password is repeated"
ends 66 "${init[@]}" --database "${KARTA_TEST_POSTGRES/\/karta\?//missing?}" --passphrase-fd 3 3<<<"$passphrase"
says "createdb --template=template0 --encoding=UTF8 --locale=C"
ends 74 "${init[@]}" --database "postgresql://karta@/karta?host=$work/nowhere" --passphrase-fd 3 3<<<"$passphrase"
says "cannot connect"
[ ! -e "$KARTA_DIR" ] || no "a failed init left a folder"
make_centre
[ ! -e "$KARTA_DIR/registry.sqlite" ] || no "there is a file beside"
ends 73 karta init again --name Other --country XX --database "$KARTA_TEST_POSTGRES" --passphrase-fd 3 3<<<"$passphrase"
says "has tables already"

step "citizens: twenty, found by name, in the order of their letters"
{
  printf 'snils,family,given,patronymic,birth_date\n'
  python3 - <<'PY'
for n in range(1003000, 1003020):
    digits = "%09d" % n
    check = sum(int(d) * (9 - i) for i, d in enumerate(digits)) % 101 % 100
    print("%s-%s-%s %02d,Выдуманов%s,Пример,Тестович,1980-02-%02d"
          % (digits[:3], digits[3:6], digits[6:], check, "абвгдежзиклмнопрстуф"[n - 1003000], n - 1003000 + 1))
PY
} >twenty.csv
run karta citizen import twenty.csv
says "20 created"
run karta citizen find выдуманов --purpose test --case 1
says "Выдуманова" "Выдумановф"

step "twenty cards: serials and status indexes each once"
tail -n +2 twenty.csv | cut -d , -f 1 >numbers
while read -r snils; do
  run "$KARTA_SIM" new "$work/a.card"
  start_cards run "$work/a.card"
  issue "$snils" "Reader 1"
  stop_cards
  rm "$work/a.card"
  printf '%s\n' "$serial" >>serials
  run karta card ship "$serial" --why "sent by post"
  run karta card activate "$serial" --why "handed over"
done <numbers
[ "$(sort -u serials | wc -l)" = 20 ] || no "not twenty serials"
ask() { psql "$KARTA_TEST_POSTGRES" -qAtc "$1"; }
[ "$(ask "SELECT count(DISTINCT status_index) FROM cards WHERE state = 4")" = 20 ] || no "not twenty active cards"

step "one is suspended, one revoked: the stop-list and the registry say so"
one=$(sed -n 3p serials) two=$(sed -n 17p serials)
run karta card suspend "$one" --why "lost, says the citizen"
run karta card revoke "$two" --why "stolen" --reason keyCompromise
ends 77 karta card activate "$two" --why "no way back"
run karta card status "$two" --json
says '"state": "revoked"' '"revocation_reason": "keyCompromise"'
run karta stop-list build --json --passphrase-fd 3 3<<<"$passphrase"
grep -Eq '"stopped": "?2' "$work/out" || no "not two on the stop-list"
[ "$(ask "SELECT count(*) FROM revocations WHERE by_card = 1 AND reason = 6")" -ge 2 ] || no "certificates not on hold"
[ "$(ask "SELECT count(*) FROM revocations WHERE by_card = 1 AND reason = 1")" -ge 2 ] || no "certificates not revoked"
