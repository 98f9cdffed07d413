# What a command costs through pcscd, vpcd's driver and the reader link: an OpenSC login-and-sign, cold, from the recorded
# exchange. Debian's driver sends lengths and bodies apart; a card that does not acknowledge at once waits 44 ms a command.
# Prints a table and writes JSON lines to $KARTA_BENCH_JSON. Medians of RUNS runs. Fails if the link stalls.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"
runs=${RUNS:-15}
json=${KARTA_BENCH_JSON:-/dev/null}
stalled_ms=44

# session FILE: "commands octets milliseconds milliseconds-a-command card-microseconds-a-command gaps-of-40-ms longest-gap-ms".
session() {
  awk -F'[{:,}]' '
    /"command":/ {
      n++
      for (i = 1; i < NF; i++) {
        if ($i == "\"at_us\"") { last = $(i + 1); if (n == 1) first = last }
        if ($i == "\"command\"" || $i == "\"response\"" || $i == "\"sw\"") octets += (length($(i + 1)) - 2) / 2
        if ($i == "\"hidden_bytes\"" || $i == "\"hidden_response_bytes\"") octets += $(i + 1)
        if ($i == "\"us\"") card += $(i + 1)
        if ($i == "\"gap_us\"" && n > 1) { if ($(i + 1) >= 40000) stalls++; if ($(i + 1) > longest) longest = $(i + 1) }
      }
    }
    END { printf "%d %d %.2f %.4f %.1f %d %.2f\n", n, octets, (last - first) / 1000, (last - first) / 1000 / (n - 1), card / n, stalls, longest / 1000 }' "$1"
}
median_of() { # column, of $work/sessions
  cut -d' ' -f"$1" "$work/sessions" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
report() { # name value unit peer peer-value
  awk -v name="$1" -v value="$2" -v unit="$3" -v peer="$4" -v other="$5" 'BEGIN {
    printf "{\"name\":\"%s\",\"value\":%s,\"unit\":\"%s\",\"peer\":\"%s\",\"peer_value\":%s,\"ratio\":%.4f}\n",
      name, value, unit, peer, other, value / other }' >>"$json"
}

run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
init_card
for id in 45 46 47 48; do
  generate ec/prime256v1 $id "key $id" sign
  certify $id
  run pkcs15-init --store-certificate "$work/$id.crt" --auth-id 1 --id $id --label "key $id" --pin $pin1
done
run pkcs15-init --finalize
echo "a text" >"$work/text"
stop_cards
start_cards run "$work/a.card"
for ((i = 1; i <= runs; i++)); do
  : >"$record"
  run p11 --login --pin $pin1 --token-label "KARTA (auth PIN)" --sign --id 45 --mechanism ECDSA-SHA256 \
    --input-file "$work/text" --output-file "$work/signature"
  session "$record" >>"$work/sessions"
done

commands=$(median_of 1) octets=$(median_of 2) total=$(median_of 3) each=$(median_of 4) card=$(median_of 5) stalls=$(median_of 6)
printf '\nOpenSC login-and-sign through pcscd and vpcd (four keys and certificates, cold; median of %d)\n' "$runs"
printf '%-34s %10s\n' \
  "commands" "$commands" "octets both ways" "$octets" "milliseconds, first to last" "$total" \
  "milliseconds a command" "$each" "  of which the card, microseconds" "$card" \
  "milliseconds a command, stalled" "$stalled_ms" "waits of 40 ms or more" "$stalls" \
  "longest wait, milliseconds" "$(median_of 7)"
report opensc-login-and-sign-per-command "$each" ms "delayed acknowledgement" $stalled_ms
[ "$((stalls * 2))" -lt "$commands" ] || no "the reader link stalls: $stalls of $commands commands waited 40 ms or more"
