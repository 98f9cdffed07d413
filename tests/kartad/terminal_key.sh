# A terminal whose key is in a card of its own, in a reader of its own: kartad signs with it, finds it again after it was
# taken out and put back, and says so while it is missing.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
: "${KARTAD:?names the kartad program}" "${KARTA_PKCS11:?names the PKCS #11 module}"
daemon=
stop_daemon() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  daemon=
}
trap 'code=$?; stop_daemon; [ $code -eq 0 ] || cat "$work/daemon.log"; (exit $code); finish' EXIT
cd "$work"
socket=$work/kartad.sock
: >daemon.log

step "a card whose everyday key is to be the terminal's; the verifier certifies it"
make_centre
run "$KARTA_SIM" new a.card
run "$KARTA_SIM" new module.card
start_cards run a.card module.card
issue "001-002-000 15" "Reader 2"
choose_pins "Reader 2"
(umask 077 && echo "$holder_pin1" >secret)
id=$(karta card info --reader "Reader 2" --json | jq -r '[.. | objects | select(.role? == "SIG" or .role? == "signature")][0].id')
[[ $id =~ ^[0-9a-fA-F]+$ ]] || { karta card info --reader "Reader 2" --json; no "the card has no everyday key"; }
run karta cv request XXCLINIC00001 --authority XXKDV00001 --key "pkcs11:token=KARTA%20%28PIN1%29;id=%$id?module-path=$KARTA_PKCS11" \
  --out request --passphrase-fd 3 3<<<"$holder_pin1"
run karta cv issue clinic --request request --passphrase-fd 3 3<<<"$passphrase"

step "the citizen's card, and kartad with its key in the second reader"
issue "001-001-999 65" "Reader 1"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
cat >kartad.toml <<TOML
schema = "karta.kartad/1"
state = "$work/state"
[server]
listen = ["unix:$socket"]
[[caller]]
name = "test"
uid = $(id -u)
verbs = ["*"]
[[reader]]
name = "*Reader 1*"
modes = ["clinic"]
[[terminal]]
role = "clinic"
folder = "$KARTA_DIR/terminals"
key = "sam:Reader 2"
passphrase_file = "$work/secret"
[trust]
stop_lists = ["$KARTA_DIR/stop-lists"]
stop_list_signers = ["$KARTA_DIR/ca/issuing.crt.pem"]
document_signers = ["$KARTA_DIR/ca/root.crt.pem"]
[clinic]
receipt = false
TOML
"$KARTAD" --config kartad.toml >>daemon.log 2>&1 &
daemon=$!
visit() {
  curl --silent --max-time 60 --unix-socket "$socket" --write-out '\n%{http_code}\n' --header 'Content-Type: application/json' \
    --data "{\"can\":\"$can\",\"purpose\":\"treatment\",\"reader\":\"Karta Virtual Reader 1 00 00\"}" http://localhost/v1/visits >answer || return 1
  status=$(sed -n '$p' answer)
  sed -i '$d' answer
}
good_visit() {
  local deadline=$((SECONDS + 60))
  until visit && [ "$status $(jq -r .decision answer)" = "201 accepted" ]; do
    kill -0 "$daemon" 2>/dev/null || no "kartad ended"
    [ $SECONDS -lt $deadline ] || { cat answer; no "a visit was to be accepted"; }
    read -r -t 0.1 <> <(:) || true
  done
}
good_visit

step "the key is taken out: no visit, and the reason; put back, it is found again"
tell remove 2
visit || no "no answer without the key"
[ "$status" != 201 ] || no "a visit without the terminal's key"
[ -n "$(jq -r '.detail // empty' answer)" ] || { cat answer; no "no reason"; }
put_back 2
good_visit
