# The e-sign application on a blank card: `karta card issue` beside `pkcs15-init`, same content, same simulated card,
# same reader, one run. Prints a table and writes JSON lines to $KARTA_BENCH_JSON. The median of RUNS runs is reported.
#
# Same content: two PINs, four P-256 keys generated on the card, four certificates, labels. pkcs15-init's commands are
# counted from its first to its last program; the certification between (openssl) is not on its clock. karta's clock
# runs the same way, from the first to the last command, and includes certification and the registry.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../interop/issued_lib.sh"
runs=${RUNS:-5}
json=${KARTA_BENCH_JSON:-/dev/null}

# exchanges FILE: "commands octets-out octets-back milliseconds-first-to-last" of a record.
exchanges() {
  awk -F'"' '
    /"command":/ {
      n++
      for (i = 2; i < NF; i += 2) {
        if ($i == "command") out += length($(i + 2)) / 2
        if ($i == "response") back += length($(i + 2)) / 2 + 2
        if ($i == "hidden_bytes") { split($(i + 1), v, /[:,}]/); out += v[2] }
        if ($i == "hidden_response_bytes") { split($(i + 1), v, /[:,}]/); back += v[2] }
        if ($i == "at_us") { split($(i + 1), v, /[:,}]/); last = v[2]; if (n == 1) first = v[2] }
      }
    }
    END { printf "%d %d %d %.1f\n", n, out, back, (last - first) / 1000 }' "$1"
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
milliseconds() { local us=${EPOCHREALTIME/[.,]/}; echo $((us / 1000)); }

make_centre
people=("001-001-999 65" "001-002-000 15")

for ((i = 1; i <= runs; i++)); do
  # karta
  rm -f "$record" "$work/card.image"
  run "$KARTA_SIM" new "$work/card.image"
  start_cards run "$work/card.image"
  before=$(milliseconds)
  issue "${people[$((i % 2))]}" "Reader 1"
  echo "$(($(milliseconds) - before))" >>"$work/karta.wall"
  stop_cards
  exchanges "$record" >>"$work/karta"

  # pkcs15-init
  rm -f "$record" "$work/card.image" "$work"/*.pem
  run "$KARTA_SIM" new "$work/card.image"
  start_cards run "$work/card.image"
  spent=0
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
  spent=$((spent + $(milliseconds) - before))
  for n in 1 2 3 4; do certify $n; done
  before=$(milliseconds)
  for n in 1 2 3 4; do
    auth=1 pin=$pin1
    [ $n -ne 3 ] || { auth=2 pin=$pin2; }
    run pkcs15-init --store-certificate "$work/$n.crt" --auth-id $auth --id $n --pin "$pin"
  done
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
    "${1// /-}" "$3" "$2" "$4" "$(awk -v a="$3" -v b="$4" 'BEGIN { printf "%.4f", a / b }')" >>"$json"
}
row commands count "$(column karta 1)" "$(column opensc 1)"
row "octets out" octets "$(column karta 2)" "$(column opensc 2)"
row "octets back" octets "$(column karta 3)" "$(column opensc 3)"
row "first to last command" ms "$(column karta 4)" "$(column opensc 4)"
row "programs from start to end" ms "$(median <"$work/karta.wall")" "$(median <"$work/opensc.wall")"
