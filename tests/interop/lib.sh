# What the interop scripts share. A script is run inside tools/private-pcscd with KARTA_SIM naming the simulator:
#   KARTA_SIM=build/release/bin/karta-sim KARTA_BIN=build/release/bin tools/private-pcscd --readers 2 -- bash tests/interop/pkcs15_init.sh
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C

: "${KARTA_SIM:?names the karta-sim program to test}" "${KARTA_BIN:?names the folder with karta}"
: "${KARTA_PRIVATE_PCSCD:?these scripts run inside tools/private-pcscd}"
module=opensc-pkcs11.so
pin1=123456 puk1=12345678 pin2=654321 puk2=87654321

work=$(mktemp -d)
control=$work/control
record=$work/record.jsonl
current=start
simulator=

finish() {
  local code=$?
  if [ $code -ne 0 ]; then
    printf 'FAILED at: %s\n' "$current"
    if [ -s "$record" ]; then
      echo "the last exchanges:"
      tail -n 12 "$record" | cut -c 1-240
    fi
  fi
  [ -z "$simulator" ] || stop_cards
  rm -rf "$work"
}
trap finish EXIT

step() {
  current=$*
  printf -- '-- %s\n' "$*"
}

no() {
  printf 'FAULT: %s\n' "$*"
  exit 1
}

# Runs a command that must succeed; its words are in $work/out.
run() {
  if ! "$@" >"$work/out" 2>&1; then
    cat "$work/out"
    no "this failed: $*"
  fi
}

# Runs a command that must fail, though not by a signal.
refuse() {
  local code=0
  "$@" >"$work/out" 2>&1 || code=$?
  # 124: timeout's; 129 to 159: ended by a signal. OpenSC's tools fail with 1 or 255.
  if [ $code -eq 0 ] || [ $code -eq 124 ] || { [ $code -gt 128 ] && [ $code -lt 160 ]; }; then
    cat "$work/out"
    no "this was to be refused, and ended with $code: $*"
  fi
}

# The words of the last run or refuse hold all of these.
says() {
  local words
  for words in "$@"; do
    if ! grep -qF -- "$words" "$work/out"; then
      cat "$work/out"
      no "\"$words\" is not there"
    fi
  done
}

# noticed: until pcscd tells programs of every card that the simulator has in a reader. It switches a card on, which is what
# the simulator sees, a moment before it says so; a program that comes within it would find an empty reader.
noticed() {
  local deadline=$((SECONDS + 60)) readers line missing
  while :; do
    missing=
    "$KARTA_SIM" control "$control" status >"$work/status" # each time: a card that is torn away meanwhile comes no more
    readers=$("$KARTA_BIN/karta" reader list --json 2>&1 || true)
    while read -r line; do
      if [[ $line =~ reader\ ([0-9]+)\ slot\ ([0-9]+),\ in\ the\ reader, ]] &&
        ! [[ $readers =~ Virtual\ Reader\ ${BASH_REMATCH[1]}\ 00\ 0${BASH_REMATCH[2]}\",$'\n'[[:space:]]*\"card_present\":\ true ]]; then
        missing=$line
      fi
    done <"$work/status"
    [ -n "$missing" ] || return 0
    [ $SECONDS -lt $deadline ] || { printf '%s\n' "$readers"; no "pcscd tells nobody of $missing"; }
    read -r -t 0.02 <> <(:) || true
  done
}

# start_cards WORDS...: runs the simulator with these words until stop_cards; returns when programs find the cards.
start_cards() {
  local line='' out
  [ -p "$work/simulator.out" ] || mkfifo "$work/simulator.out"
  exec {out}<>"$work/simulator.out"
  "$KARTA_SIM" "$@" --control "$control" --record "$record" --quiet >"$work/simulator.out" 2>"$work/simulator.err" &
  simulator=$!
  read -r -t 60 line <&"$out" || true
  exec {out}<&-
  if [ "$line" != ready ]; then
    cat "$work/simulator.err"
    no "the simulator is not ready"
  fi
  noticed
}
stop_cards() { # [signal]
  kill "-${1:-TERM}" "$simulator"
  wait "$simulator" 2>/dev/null || true
  simulator=
}
# tell COMMAND...: the simulator does it; where a card comes, programs find it then.
tell() {
  run "$KARTA_SIM" control "$control" "$@"
  case $1 in insert | swap) noticed ;; esac
}

# init_card [pkcs15-init words]: the PKCS #15 application and two PINs on a blank card, as pkcs15-init does it. Without
# words, an application that has no security officer.
init_card() {
  local officer=("$@") store=()
  if [ $# -eq 0 ]; then officer=(--no-so-pin); else store=(--so-pin "$so_pin"); fi
  run pkcs15-init --create-pkcs15 "${officer[@]}" --label KARTA
  run pkcs15-init --store-pin --auth-id 1 --label "auth PIN" --pin $pin1 --puk $puk1 "${store[@]}"
  run pkcs15-init --store-pin --auth-id 2 --label "sign PIN" --pin $pin2 --puk $puk2 "${store[@]}"
}

# generate TYPE ID LABEL USAGE [AUTH-ID [PIN [more words]]]
generate() {
  local type=$1 id=$2 label=$3 usage=$4 auth=${5:-1} pin=${6:-$pin1}
  shift $(($# < 6 ? $# : 6))
  run pkcs15-init --generate-key "$type" --auth-id "$auth" --id "$id" --label "$label" --key-usage "$usage" --pin "$pin" "$@"
}

# public_key ID: writes $work/ID.pem
public_key() { run pkcs15-tool --read-public-key "$1" --output "$work/$1.pem"; }

# certify ID: a certificate for the card's key from a throw-away CA, in $work/ID.crt
certify() {
  if [ ! -e "$work/ca.crt" ]; then
    run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" \
      -subj "/CN=Interop Test CA" -days 30
  fi
  public_key "$1"
  run openssl x509 -new -subj "/CN=Sample Citizen $1" -force_pubkey "$work/$1.pem" -CA "$work/ca.crt" -CAkey "$work/ca.key" \
    -days 30 -out "$work/$1.crt"
}

p11() { pkcs11-tool --module "$module" "$@"; }

# sign_and_verify ID PIN TOKEN MECHANISM HASH [pkcs11 words]: signs a text through PKCS #11 and lets openssl verify it.
sign_and_verify() {
  local id=$1 pin=$2 token=$3 mechanism=$4 hash=$5
  shift 5
  local verify=()
  case $mechanism in *PSS) verify=(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -sigopt "rsa_mgf1_md:$hash") ;; esac
  printf 'a text to be signed with %s\n' "$mechanism" >"$work/text"
  run p11 --login --pin "$pin" --token-label "$token" --sign --id "$id" --mechanism "$mechanism" \
    --input-file "$work/text" --output-file "$work/signature" "$@"
  run openssl dgst "-$hash" -verify "$work/$id.pem" -signature "$work/signature" "${verify[@]}" "$work/text"
  says "Verified OK"
  printf 'x' >>"$work/text"
  refuse openssl dgst "-$hash" -verify "$work/$id.pem" -signature "$work/signature" "${verify[@]}" "$work/text"
}

# tries REFERENCE: how many tries the card itself grants, 0 if blocked, through nothing but a status question.
tries() {
  run opensc-tool --send-apdu 00A4040C0CA000000063504B43532D3135 --send-apdu 002E0000 --send-apdu "002000$1"
  case $(tail -n 1 "$work/out") in
    *SW1=0x63,\ SW2=0xC?\)*) tail -n 1 "$work/out" | sed 's/.*SW2=0xC\(.\).*/\1/' ;;
    *SW1=0x69,\ SW2=0x83*) echo 0 ;;
    *) cat "$work/out"; no "no answer to the question for tries" ;;
  esac
}
