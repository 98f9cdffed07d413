# The whole way: a card of an issuing centre behind a real pcscd, the program kartad, its page in Chromium.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
: "${KARTAD:?names the kartad program}" "${PICTURES:?names a folder}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
daemon=
trap 'code=$?; [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; [ $code -eq 0 ] || tail -n 20 "$work/daemon.log" || true; (exit $code); finish' EXIT
cd "$work" || exit

step "a centre, a card in its holder's hands, a clinic's terminal, lists"
make_centre
(umask 077 && echo "$passphrase" >secret)
run "$KARTA_SIM" new a.card
start_cards run a.card
issue "001-001-999 65" "Reader 1"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta card ship "$serial" --why "sent by post"
run karta card activate "$serial" --why "handed over"
run karta cv issue clinic --passphrase-fd 3 3<<<"$passphrase"
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
cat >kartad.toml <<TOML
schema = "karta.kartad/1"
state = "$work/state"
[server]
listen = ["127.0.0.1:8470"]
[[reader]]
name = "*"
modes = ["clinic"]
[[terminal]]
role = "clinic"
folder = "$KARTA_DIR/terminals"
passphrase_file = "$work/secret"
[trust]
stop_lists = ["$KARTA_DIR/stop-lists"]
stop_list_signers = ["$KARTA_DIR/ca/issuing.crt.pem"]
document_signers = ["$KARTA_DIR/ca/root.crt.pem"]
card_issuers = ["$KARTA_DIR/ca/issuing.crt.pem"]
[clinic]
[pages]
TOML

step "kartad keeps a link for its desk"
"$KARTAD" --config kartad.toml >daemon.log 2>&1 &
daemon=$!
deadline=$((SECONDS + 60))
until curl --silent --fail --output health http://127.0.0.1:8470/healthz; do
  kill -0 "$daemon" 2>/dev/null || no "kartad ended"
  [ $SECONDS -lt $deadline ] || no "kartad does not answer"
  read -r -t 0.05 <> <(:) || true
done
[ "$(stat -c %a state/desk-link)" = 600 ] || no "others may read the link"

step "a visit in the browser"
mkdir -p "$PICTURES"
run node "$here/visit.mjs" state/desk-link "$can" "Образцов Пример Тестович" "$PICTURES/real-clinic.png"
