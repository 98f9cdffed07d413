# The e-sign application on a blank card: `karta card issue` beside `pkcs15-init`, same content, same simulated card,
# same reader, one run. Prints a table and writes JSON lines to $KARTA_BENCH_JSON. The median of RUNS runs is reported.
#
# Same content: two PINs, four P-256 keys generated on the card, four certificates, labels; karta adds the issuing CA's
# certificate and closes the card. The clock of pkcs15-init runs while its ten programs run; certification (openssl) is
# not on it. The clock of karta runs while its program runs: opening the CA's key (600,000 rounds of PBKDF2, once a run),
# certification and the registry's commits are on it. karta makes one card in a run, and four in a run.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../interop/issued_lib.sh"
runs=${RUNS:-5}
json=${KARTA_BENCH_JSON:-/dev/null}

# exchanges FILE: "commands octets-out octets-back milliseconds-of-the-card" of a record.
exchanges() {
  awk -F'"' '
    /"command":/ {
      n++
      for (i = 2; i < NF; i += 2) {
        if ($i == "command") out += length($(i + 2)) / 2
        if ($i == "response") back += length($(i + 2)) / 2 + 2
        if ($i == "hidden_bytes") { split($(i + 1), v, /[:,}]/); out += v[2] }
        if ($i == "hidden_response_bytes") { split($(i + 1), v, /[:,}]/); back += v[2] }
        if ($i == "us") { split($(i + 1), v, /[:,}]/); card += v[2] }
      }
    }
    END { printf "%d %d %d %.1f\n", n, out, back, card / 1000 }' "$1"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
milliseconds() { local us=${EPOCHREALTIME/[.,]/}; echo $((us / 1000)); }

make_centre
people=("001-001-999 65" "001-002-000 15" "001-002-001 16" "001-002-002 17")
cat >"$work/more.csv" <<'CSV'
snils,family,given,patronymic,birth_date
001-002-001 16,Образцов,Третий,Тестович,1975-05-05
001-002-002 17,Примерова,Четвёртая,Тестовна,1999-09-09
CSV
run karta citizen import "$work/more.csv"

# issue_timed FILE CITIZENS...: milliseconds a card go to FILE.
issue_timed() {
  local file=$1 citizen words=() before
  shift
  for citizen in "$@"; do words+=(--citizen "$citizen"); done
  before=$(milliseconds)
  run karta card issue "${words[@]}" --json --passphrase-fd 3 3<<<"$passphrase"
  echo $((($(milliseconds) - before) / $#)) >>"$file"
}
blank_cards() { # how many
  local n
  rm -f "$record" "$work"/*.image
  for n in $(seq "$1"); do run "$KARTA_SIM" new "$work/$n.image"; done
}

for ((i = 1; i <= runs; i++)); do
  # karta, one card
  blank_cards 1
  start_cards run "$work/1.image"
  issue_timed "$work/karta.wall" "${people[0]}"
  stop_cards
  exchanges "$record" >>"$work/karta"

  # karta, four cards in a run
  blank_cards 4
  start_cards run "$work"/[1234].image --reader 1 --reader 1:1 --reader 2 --reader 2:1
  issue_timed "$work/karta4.wall" "${people[@]}"
  stop_cards

  # pkcs15-init
  blank_cards 1
  rm -f "$work"/*.pem
  start_cards run "$work/1.image"
  before=$(milliseconds)
  init_card
  n=0
  for role in AUT SIG QES ENC; do
    n=$((n + 1))
    usage=digitalSignature auth=1 pin=$pin1
    [ $role != QES ] || { usage=nonRepudiation auth=2 pin=$pin2; }
    [ $role != ENC ] || usage=keyAgreement
    generate ec:prime256v1 $n $role $usage $auth "$pin"
  done
  spent=$(($(milliseconds) - before))
  for n in 1 2 3 4; do certify $n; done
  before=$(milliseconds)
  for n in 1 2 3 4; do
    auth=1 pin=$pin1
    [ $n -ne 3 ] || { auth=2 pin=$pin2; }
    run pkcs15-init --store-certificate "$work/$n.crt" --auth-id $auth --id $n --pin "$pin"
  done
  run pkcs15-init --finalize
  spent=$((spent + $(milliseconds) - before))
  echo $spent >>"$work/opensc.wall"
  stop_cards
  exchanges "$record" >>"$work/opensc"
done

column() { awk -v c="$2" '{ print $c }' "$work/$1" | median; }
printf '%-46s %12s %12s %8s\n' "personalising the e-sign application (median of $runs)" karta pkcs15-init ratio
row() { # name unit karta peer
  printf '%-46s %12s %12s %8s\n' "  $1, $2" "$3" "$4" "$(awk -v a="$3" -v b="$4" 'BEGIN { printf "%.2f", a / b }')"
  printf '{"name":"personalise.%s","value":%s,"unit":"%s","peer":"pkcs15-init","peer_value":%s,"ratio":%s}\n' \
    "$(tr -cd "a-z -" <<<"$1" | tr " " -)" "$3" "$2" "$4" "$(awk -v a="$3" -v b="$4" 'BEGIN { printf "%.4f", a / b }')" >>"$json"
}
row commands count "$(column karta 1)" "$(column opensc 1)"
row "octets out" octets "$(column karta 2)" "$(column opensc 2)"
row "octets back" octets "$(column karta 3)" "$(column opensc 3)"
row "the simulated card's own time" ms "$(column karta 4)" "$(column opensc 4)"
row "programs, start to end" ms "$(median <"$work/karta.wall")" "$(median <"$work/opensc.wall")"
row "the same a card, four in a run" ms "$(median <"$work/karta4.wall")" "$(median <"$work/opensc.wall")"
