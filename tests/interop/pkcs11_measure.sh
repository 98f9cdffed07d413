# Measures a PKCS #11 module on the card in reader 1, from the simulator's record: what the benchmark prints and the
# budget test asserts. KARTA_STRESS names the stress program, whose mode "bench" signs. Source after lib.sh.
# shellcheck shell=bash disable=SC2154
: "${KARTA_STRESS:?names the stress program}"
cache_folder=${XDG_CACHE_HOME:?is fresh in tools/private-pcscd}

# exchanges FILE: "commands octets-out octets-back" of a record.
exchanges() {
  awk -F'"' '
    /"command":/ {
      n++
      for (i = 2; i < NF; i += 2) {
        if ($i == "command") out += length($(i + 2)) / 2
        if ($i == "response") back += length($(i + 2)) / 2 + 2
        if ($i == "hidden_bytes") { split($(i + 1), v, /[:,}]/); out += v[2] }
        if ($i == "hidden_response_bytes") { split($(i + 1), v, /[:,}]/); back += v[2] }
      }
    }
    END { printf "%d %d %d\n", n, out, back }' "$1"
}
# measure MODULE TOKEN PIN ID SIGNATURES [--keep-cache]: a process of its own makes a first signature and SIGNATURES more.
# Prints "commands octets-out octets-back first-signature-us others-us". The record is that of this process alone.
measure() {
  [ "${6-}" = --keep-cache ] || find "$cache_folder" -mindepth 1 -delete
  : >"$record"
  run "$KARTA_STRESS" bench --module "$1" --token "$2" --pin "$3" --key "$4=$work/$4.pem" --rounds "$5"
  printf '%s %s\n' "$(exchanges "$record")" "$(sed -n 's/.*"cold_us":\([0-9]*\),.*"warm_us":\([0-9]*\)}.*/\1 \2/p' "$work/out")"
}
# per_signature COMMANDS-WITHOUT COMMANDS-WITH SIGNATURES: commands of one warm signature.
per_signature() { awk -v a="$1" -v b="$2" -v n="$3" 'BEGIN { printf "%.2f", (b - a) / n }'; }
# four_key_card: what pkcs15-init makes of four P-256 keys and certificates.
four_key_card() {
  local id
  init_card
  for id in 01 02 03 04; do
    generate ec/prime256v1 $id "key $id" sign
    certify $id
    run pkcs15-init --store-certificate "$work/$id.crt" --auth-id 1 --id $id --label "key $id" --pin "$pin1"
  done
  run pkcs15-init --finalize
}
