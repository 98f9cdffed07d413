# What the scripts on issued cards share: a small issuing centre, a card of it, and the holder's own PINs.
# shellcheck shell=bash disable=SC2034,SC2154
: "${KARTA_BIN:?names the folder with karta and karta-sign}"
PATH=$KARTA_BIN:$PATH
export KARTA_DIR=$work/centre
passphrase='only for this test'
holder_pin1=258036 holder_pin2=963074

# Under tests/identity/with_postgres.sh the centre's registry is in that PostgreSQL.
make_centre() {
  run karta init "$KARTA_DIR" --name "Interop Centre" --country XX \
    ${KARTA_TEST_POSTGRES:+--database "$KARTA_TEST_POSTGRES"} --passphrase-fd 3 3<<<"$passphrase"
  # People without a shadow of existence: numbers from ranges that are not given out, check digits right.
  cat >"$work/people.csv" <<'CSV'
snils,family,given,patronymic,birth_date
001-001-999 65,Образцов,Пример,Тестович,1980-02-29
001-002-000 15,Примерова,Проба,Образцовна,1991-07-01
CSV
  run karta citizen import "$work/people.csv"
}

# await_card READER: until pcscd tells programs of the card in the first slot of "Reader N". (It switches a card on a
# moment before it says so.)
await_card() {
  local deadline=$((SECONDS + 30)) readers
  until
    readers=$(karta reader list --json 2>/dev/null || true)
    [[ $readers =~ "Virtual $1 00 00\","$'\n'[[:space:]]*'"card_present": true' ]]
  do
    [ $SECONDS -lt $deadline ] || no "no card came into $1"
    read -r -t 0.05 <> <(:) || true
  done
}

# issue SNILS READER [PROFILE]: a card for the person; leaves serial, letter and the letter's codes in variables.
issue() {
  await_card "$2"
  run karta card issue --citizen "$1" --reader "$2" --profile "${3:-citizen}" --json --passphrase-fd 3 3<<<"$passphrase"
  serial=$(sed -n 's/^ *"serial": "\(.*\)",$/\1/p' "$work/out")
  letter=$(sed -n 's/^ *"letter": "\(.*\)",$/\1/p' "$work/out")
  transport_pin1=$(sed -n 's/.*transport PIN1: \([0-9]*\)$/\1/p' "$letter")
  transport_pin2=$(sed -n 's/.*transport PIN2: \([0-9]*\)$/\1/p' "$letter")
  puk=$(sed -n 's/^PUK: \([0-9]*\)$/\1/p' "$letter")
  [ ${#transport_pin1} -eq 5 ] && [ ${#transport_pin2} -eq 5 ] && [ ${#puk} -eq 10 ] || no "the letter lacks a code"
}

# choose_pins READER: what a citizen does first.
choose_pins() {
  run karta card change-pin --pin 1 --reader "$1" --pin-fd 3 3<<<"$transport_pin1"$'\n'"$holder_pin1"
  run karta card change-pin --pin 2 --reader "$1" --pin-fd 3 3<<<"$transport_pin2"$'\n'"$holder_pin2"
}
