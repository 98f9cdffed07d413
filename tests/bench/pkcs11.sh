# Our PKCS #11 module beside OpenSC's, same card, same reader, one run: from loading the module to the first signature
# (commands, octets, wall), the same with what the module left in its cache, one more signature, signatures per second (for
# long enough that the pauses in which our module leaves the card to others count).
# Each measurement is a process of its own; the median of RUNS is reported. Writes JSON lines to $KARTA_BENCH_JSON.
# shellcheck shell=bash disable=SC1091,SC2154
KARTA_PKCS11=${KARTA_PKCS11:-$KARTA_BIN/../lib/libkarta-pkcs11.so}
KARTA_STRESS=${KARTA_STRESS:-$KARTA_BIN/../test/pkcs11_stress}
source "$(dirname "${BASH_SOURCE[0]}")/../interop/pkcs11_lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../interop/pkcs11_measure.sh"
runs=${RUNS:-9} signatures=${SIGNATURES:-5000}
json=${KARTA_BENCH_JSON:-/dev/null}
declare -A module_of=([karta]=$module [opensc]=$(echo /usr/lib/*/opensc-pkcs11.so))

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
column() { cut -d' ' -f"$2" "$work/$1" | median; }
row() { # name unit ours theirs
  printf '%-50s %12s %12s %8s\n' "  $1, $2" "$3" "$4" "$(awk -v a="$3" -v b="$4" 'BEGIN { printf "%.2f", a / b }')"
  printf '{"name":"pkcs11.%s.%s","value":%s,"unit":"%s","peer":"opensc-pkcs11.so","peer_value":%s,"ratio":%s}\n' "$card" \
    "$(tr -cd 'a-z -' <<<"$1" | tr ' ' -)" "$3" "$2" "$4" "$(awk -v a="$3" -v b="$4" 'BEGIN { printf "%.4f", a / b }')" >>"$json"
}
compare() { # card title token pin
  local who i keep
  card=$1
  rm -f "$work"/*.cold "$work"/*.kept "$work"/*.warm
  for ((i = 1; i <= runs; i++)); do
    for who in opensc karta; do
      measure "${module_of[$who]}" "$3" "$4" 01 0 >>"$work/$who.cold"
    done
    measure "$module" "$3" "$4" 01 0 --keep-cache >>"$work/karta.kept"
    for keep in -- --keep-cache; do
      OPENSC_CONF=$work/opensc.conf measure "${module_of[opensc]}" "$3" "$4" 01 0 $keep >"$work/with-cache"
    done
    cat "$work/with-cache" >>"$work/opensc.kept"
  done
  for ((i = 1; i <= 3; i++)); do
    for who in karta opensc; do measure "${module_of[$who]}" "$3" "$4" 01 "$signatures" >>"$work/$who.warm"; done
  done
  printf '\n%-50s %12s %12s %8s\n' "$2 (median of $runs)" karta OpenSC ratio
  row "cold to first signature" commands "$(column karta.cold 1)" "$(column opensc.cold 1)"
  row "cold, out" octets "$(column karta.cold 2)" "$(column opensc.cold 2)"
  row "cold, back" octets "$(column karta.cold 3)" "$(column opensc.cold 3)"
  row "cold, loading included" us "$(column karta.cold 4)" "$(column opensc.cold 4)"
  row "with its cache" commands "$(column karta.kept 1)" "$(column opensc.kept 1)"
  row "with its cache, loading included" us "$(column karta.kept 4)" "$(column opensc.kept 4)"
  row "one more signature" commands "$(per_signature "$module" "$3" "$4" 01)" "$(per_signature "${module_of[opensc]}" "$3" "$4" 01)"
  row "signatures" per-second \
    "$(awk -v n="$signatures" -v us="$(column karta.warm 5)" 'BEGIN { printf "%.0f", n * 1000000 / us }')" \
    "$(awk -v n="$signatures" -v us="$(column opensc.warm 5)" 'BEGIN { printf "%.0f", n * 1000000 / us }')"
}

# OpenSC leaves its file cache off unless told.
echo 'app default { framework pkcs15 { use_file_caching = yes; } }' >"$work/opensc.conf"
run "$KARTA_SIM" new "$work/four.card"
start_cards run "$work/four.card"
four_key_card
compare four-keys "a card of four keys made by pkcs15-init" "$(token_label 'auth PIN')" $pin1
stop_cards
rm -f "$work"/0?.pem
card_in_hand citizen
compare issued "a citizen card issued by karta" "$everyday" "$pin"
