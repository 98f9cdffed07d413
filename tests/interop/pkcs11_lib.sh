# What the scripts that hand our PKCS #11 module to other programs share. KARTA_PKCS11 names the module; every script
# passes with OpenSC's on the same cards too (KARTA_PKCS11=opensc), so that a script that fails tells of the module:
#   KARTA_PKCS11=opensc KARTA_SIM=... KARTA_BIN=... tools/private-pcscd -- bash tests/interop/pkcs11_tool.sh citizen
# shellcheck shell=bash disable=SC1091,SC2034,SC2154
: "${KARTA_PKCS11:?names the PKCS #11 module to test}"
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/issued_lib.sh"
module=$KARTA_PKCS11
[ "$module" != opensc ] || module=$(echo /usr/lib/*/opensc-pkcs11.so)
declare -A id_of=([AUT]=01 [SIG]=02 [QES]=03 [ENC]=04)
started=() # servers to end

# A script that starts servers ends them, whatever happened.
end_servers() {
  local pid
  for pid in "${started[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  started=()
}
finish_with_servers() {
  local code=$?
  end_servers
  (exit $code)
  finish
}
trap finish_with_servers EXIT

# card_in_hand KIND: a card in reader 1 with the keys AUT, SIG, ENC (PIN1) and QES (PIN2) and their certificates:
#   citizen, citizen-rsa   issued by karta, the holder's PINs chosen
#   pkcs15-init            made by OpenSC: P-256 AUT, RSA SIG and ENC, P-384 QES that wants its PIN each time
# Leaves $work/ID.crt, $work/ID.pem (public keys), $work/trust.crt (CA certificates, root last), $pin, $qualified_pin.
card_in_hand() {
  kind=$1
  run "$KARTA_SIM" new "$work/card.image"
  case $kind in
    citizen | citizen-rsa)
      make_centre
      [ "$kind" = citizen ] || cp "$(dirname "${BASH_SOURCE[0]}")/../../docs/examples/profiles/$kind.toml" "$KARTA_DIR/profiles/card/"
      start_cards run "$work/card.image"
      issue "001-001-999 65" "Reader 1" "$kind"
      choose_pins "Reader 1"
      pin=$holder_pin1 qualified_pin=$holder_pin2
      local role
      for role in AUT SIG QES ENC; do
        run karta card read $role
        cp "$work/out" "$work/${id_of[$role]}.crt"
        openssl x509 -in "$work/out" -noout -pubkey >"$work/${id_of[$role]}.pem"
      done
      cat "$KARTA_DIR/ca/issuing.crt.pem" "$KARTA_DIR/ca/root.crt.pem" >"$work/trust.crt"
      ;;
    pkcs15-init)
      start_cards run "$work/card.image"
      init_card
      generate ec/prime256v1 01 AUT sign
      generate rsa/2048 02 SIG sign
      generate ec/secp384r1 03 QES sign 2 $pin2 --user-consent 1
      generate rsa/2048 04 ENC decrypt
      local id
      for id in 01 02 03 04; do certify $id; done
      store_certificate 01 AUT 1 $pin1
      store_certificate 02 SIG 1 $pin1
      store_certificate 03 QES 2 $pin2
      store_certificate 04 ENC 1 $pin1
      run pkcs15-init --finalize
      cp "$work/ca.crt" "$work/trust.crt"
      pin=$pin1 qualified_pin=$pin2
      ;;
    *) no "no such card: $kind" ;;
  esac
  everyday=$(token_label 'PIN1|auth PIN')
  qualified=$(token_label 'PIN2|sign PIN')
}
store_certificate() { # id label auth-id pin
  run pkcs15-init --store-certificate "$work/$1.crt" --auth-id "$3" --id "$1" --label "$2" --pin "$4"
}

# token_label PATTERN: the label of the one token whose label matches.
token_label() {
  local labels
  labels=$(p11 --list-slots 2>"$work/err" | sed -n 's/^  token label *: //p' | grep -E "$1" || true)
  if [ -z "$labels" ] || [ "$(wc -l <<<"$labels")" -ne 1 ]; then
    p11 --list-slots >&2 || true
    no "not one token but these match $1: $labels" >&2
  fi
  printf '%s' "$labels"
}
# slot_id LABEL: the number of the slot that holds the token, in decimal.
slot_id() {
  p11 --list-slots 2>/dev/null |
    awk -v label="$1" '/^Slot/ { slot = $3; gsub(/[():]/, "", slot) } /token label/ { sub(/^[^:]*: /, ""); if ($0 == label) { print slot; exit } }' |
    { read -r hex && echo $((hex)); }
}

# key_kind ID: ec or rsa.
key_kind() { case "$(openssl pkey -pubin -in "$work/$1.pem" -noout -text)" in *'ASN1 OID'*) echo ec ;; *Modulus:*) echo rsa ;; *) return 1 ;; esac; }

# asks_again: whoever comes next has to know the PIN: the card counts none as verified. OpenSC's module leaves that to pcscd.
asks_again() {
  [ "$KARTA_PKCS11" != opensc ] || return 0
  run karta card info --json
  says '"tries_left":'
  ! grep -q '"tries_left": *null' "$work/out" || { cat "$work/out"; no "a PIN still counts as verified"; }
}

percent() { # a token label as RFC 7512 writes it
  local text=$1 out='' i c
  for ((i = 0; i < ${#text}; i++)); do
    c=${text:i:1}
    case $c in [A-Za-z0-9._-]) out+=$c ;; *) printf -v c '%%%02X' "'$c"; out+=$c ;; esac
  done
  printf '%s' "$out"
}
# uri ROLE TYPE: the RFC 7512 URI of a key or certificate, with the PIN for a private one.
uri() {
  local token=$everyday value=$pin
  [ "$1" != QES ] || { token=$qualified value=$qualified_pin; }
  printf 'pkcs11:token=%s;id=%%%s;type=%s' "$(percent "$token")" "${id_of[$1]}" "$2"
  [ "$2" != private ] || printf '?pin-value=%s' "$value"
}

# until_listening PORT PID: returns when the server takes connections; fails if it ends or needs more than 20 s.
until_listening() {
  local hex deadline=$((SECONDS + 20))
  printf -v hex ':%04X ' "$1"
  [ -p "$work/never" ] || mkfifo "$work/never"
  until grep -q "$hex.* 0A " /proc/net/tcp /proc/net/tcp6; do
    kill -0 "$2" 2>/dev/null || { cat "$work/server.out"; no "the server ended"; }
    [ $SECONDS -lt $deadline ] || { cat "$work/server.out"; no "the server does not listen"; }
    read -r -t 0.01 <>"$work/never" || true
  done
}
# serve PORT COMMAND...: runs a server until the script ends; its words are in $work/server.out.
serve() {
  local port=$1
  shift
  "$@" >"$work/server.out" 2>&1 </dev/null &
  started+=($!)
  until_listening "$port" $!
}
# server_certificate: $work/server.key, $work/server.crt for localhost, which certifies itself.
server_certificate() {
  run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/server.key" -out "$work/server.crt" \
    -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -addext "basicConstraints=critical,CA:TRUE" -days 30
}
# tls_server PORT [words]: OpenSSL's, which wants a certificate of the card's issuer and shows what it got.
tls_server() {
  local port=$1
  shift
  serve "$port" openssl s_server -accept "$port" -Verify 3 -verify_return_error -CAfile "$work/trust.crt" -cert "$work/server.crt" \
    -key "$work/server.key" -www "$@"
}
# only_module: p11-kit and what builds on it find our module and no other.
only_module() {
  local folder file
  folder=$(pkg-config --variable=p11_module_configs p11-kit-1 2>/dev/null || echo /usr/share/p11-kit/modules)
  mount -t tmpfs tmpfs "$folder" # this script lives in a mount namespace of its own
  file=$(dirname "${BASH_SOURCE[0]}")/../../pkcs11/karta.module
  if [ -e "$file" ]; then sed "s|^module:.*|module: $module|" "$file" >"$folder/karta.module"; else printf 'module: %s\n' "$module" >"$folder/karta.module"; fi
}
