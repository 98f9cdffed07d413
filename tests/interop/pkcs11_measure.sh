# Measures a PKCS #11 module on the card in reader 1, from the simulator's record: what the benchmark prints and the
# budget test asserts. KARTA_STRESS names the stress program, whose mode "bench" signs. Source after lib.sh.
# shellcheck shell=bash disable=SC2154
: "${KARTA_STRESS:?names the stress program}"
cache_folder=${XDG_CACHE_HOME:?is fresh in tools/private-pcscd}

# exchanges FILE: "commands octets-out octets-back" of a record; with "first", up to the first signature (PSO: COMPUTE
# DIGITAL SIGNATURE).
exchanges() {
  awk -F'"' -v first="${2-}" '
    /"command":/ && !over {
      n++
      for (i = 2; i < NF; i += 2) {
        if ($i == "command") out += length($(i + 2)) / 2
        if ($i == "response") back += length($(i + 2)) / 2 + 2
        if ($i == "hidden_bytes") { split($(i + 1), v, /[:,}]/); out += v[2] }
        if ($i == "hidden_response_bytes") { split($(i + 1), v, /[:,}]/); back += v[2] }
      }
      if (first != "" && /"command":"002A9E9A/) over = 1
    }
    END { printf "%d %d %d\n", n, out, back }' "$1"
}
# measure MODULE TOKEN PIN ID SIGNATURES [--keep-cache]: a process of its own finds the token by its label (TOKEN a number:
# takes the slot as it comes), logs in, finds the key, makes a first signature and SIGNATURES more. Prints "commands
# octets-out octets-back first-signature-us others-us"; with no more signatures, commands and octets up to the first. The
# record is that of this process alone.
measure() {
  local token=(--token "$2") part=''
  [[ ! $2 =~ ^[0-9]+$ ]] || token=(--slot-index "$2")
  [ "$5" -gt 0 ] || part=first
  [ "${6-}" = --keep-cache ] || find "$cache_folder" -mindepth 1 -delete
  : >"$record"
  run "$KARTA_STRESS" bench --module "$1" "${token[@]}" --pin "$3" --key "$4=$work/$4.pem" --rounds "$5"
  printf '%s %s\n' "$(exchanges "$record" $part)" "$(sed -n 's/.*"cold_us":\([0-9]*\),.*"warm_us":\([0-9]*\),.*/\1 \2/p' "$work/out")"
}
# pcsc_calls: of the signatures after the first that measure made last; 0 where the module fetches PC/SC's functions itself.
pcsc_calls() { sed -n 's/.*"pcsc_calls":\([0-9]*\)}.*/\1/p' "$work/out"; }
# per_signature MODULE TOKEN PIN ID: commands of one signature more, of fifty.
per_signature() {
  local one fifty
  one=$(measure "$1" "$2" "$3" "$4" 1 | cut -d' ' -f1) fifty=$(measure "$1" "$2" "$3" "$4" 51 | cut -d' ' -f1)
  awk -v a="$one" -v b="$fifty" 'BEGIN { printf "%.2f", (b - a) / 50 }'
}
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
