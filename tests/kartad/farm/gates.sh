# A gate behind a real pcscd: taps with cards torn away inside COMMIT, kartad killed, pcscd gone and back, a stopped card;
# then journal, openings and the card's own numbers agree, by `karta transit settle` with the back office's master.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../../e2e/lib.sh"
: "${KARTAD:?names the kartad program}"
daemon=
stop_daemon() { # [signal]
  [ -z "$daemon" ] || kill "-${1:-TERM}" "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  daemon=
}
trap 'code=$?; stop_daemon; [ $code -eq 0 ] || tail -n 20 "$work/daemon.log"; (exit $code); finish' EXIT
socket=$work/kartad.sock
cd "$work" || exit

ask() { # PATH
  curl --silent --max-time 30 --unix-socket "$socket" "http://localhost$1" >answer 2>/dev/null
}
start_daemon() {
  rm -f "$socket"
  "$KARTAD" --config kartad.toml >>daemon.log 2>&1 &
  daemon=$!
  local deadline=$((SECONDS + 60))
  until ask /healthz; do
    kill -0 "$daemon" 2>/dev/null || no "kartad ended"
    [ $SECONDS -lt $deadline ] || no "kartad does not answer"
    read -r -t 0.05 <> <(:) || true
  done
}
# How many cards this run of the daemon has judged.
judged() { ask /v1/gates && jq '[.gates[] | .opened, (.refused | add // 0)] | add // 0' answer; }
opened() { ask /v1/gates && jq '[.gates[].opened] | add // 0' answer; }
# tap: the card out of the reader and in again, until the gate has judged it.
tap() {
  local before deadline=$((SECONDS + 60))
  before=$(judged)
  tell remove 1
  deadline=$((SECONDS + 60))
  until ask /v1/readers && [ "$(jq -r '.readers[0].state' answer)" = empty ]; do
    [ $SECONDS -lt $deadline ] || { cat answer; no "the card never left"; }
    read -r -t 0.02 <> <(:) || true
  done
  [ $# -eq 0 ] || tell "$@"
  tell insert 1
  until [ "$(judged)" -gt "$before" ]; do
    [ $SECONDS -lt $deadline ] || { cat answer; no "the gate says nothing"; }
    read -r -t 0.02 <> <(:) || true
  done
}

step "a centre, a card with trips, rules, a stop-list"
make_centre
(umask 077 && echo "$passphrase" >secret)
run "$KARTA_SIM" new a.card
start_cards run a.card
issue "001-001-999 65" "Reader 1"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta card ship "$serial" --why "sent by post"
run karta card activate "$serial" --why "handed over"
masters=$KARTA_DIR/keys/transactions.key.pem
run karta cv issue counter --passphrase-fd 3 3<<<"$passphrase"
run karta transit sell --kind trips --amount 50 --product 2 --reader "Reader 1" --masters "$masters" --keys-fd 3 --pin-fd 4 \
  --passphrase-fd 5 3<<<"$passphrase" 4<<<"$can" 5<<<"$passphrase"
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
moment() { date -u -d "$1" +%Y-%m-%dT%H:%M:%SZ; }
sed -e "s/\"issued_at\": \"[^\"]*\"/\"issued_at\": \"$(moment '-1 hour')\"/" \
  -e "s/\"next_update\": \"[^\"]*\"/\"next_update\": \"$(moment '+30 days')\"/" \
  -e 's/"pass_back_seconds": 300/"pass_back_seconds": 0/' "$tests/../docs/examples/transit-rules.json" >draft.json
run karta transit rules show draft.json
says "Sampletown" "zone 1"
run karta transit rules sign draft.json --out rules.p7s --passphrase-fd 3 3<<<"$passphrase"
run karta transit rules check rules.p7s
says "rules number 1, signed by one trusted, good until"
ends 77 karta transit rules check draft.json

cat >kartad.toml <<TOML
schema = "karta.kartad/1"
state = "$work/state"
[server]
listen = ["unix:$socket"]
[[caller]]
name = "program"
uid = $(id -u)
verbs = ["*"]
[[reader]]
name = "*Reader 1 00 00"
modes = ["transit"]
gate = 7
output = "barrier"
[trust]
card_issuers = ["$KARTA_DIR/ca/issuing.crt.pem"]
stop_list_signers = ["$KARTA_DIR/ca/issuing.crt.pem"]
stop_lists = ["$KARTA_DIR/stop-lists"]
rules = "rules.p7s"
[transit]
keys = "$masters"
passphrase_file = "$work/secret"
longest_answer_ms = 5000
[[transit.output]]
name = "barrier"
file = "openings"
TOML
run "$KARTAD" --config kartad.toml --check

step "a card passes"
start_daemon
# The one that lies there is the first; pulled while the gate is at it, it would be one that was torn away.
deadline=$((SECONDS + 60))
until [ "$(judged)" -gt 0 ]; do
  [ $SECONDS -lt $deadline ] || { cat answer; no "the gate says nothing"; }
  read -r -t 0.02 <> <(:) || true
done
tap
[ "$(opened)" = "$(judged)" ] || { cat answer; no "the card does not pass"; }

step "torn away inside COMMIT, at one write after the other"
for write in 0 1 2 3 4; do
  tap cut-power 1 command=3 write=$write
  tap
done

step "kartad killed with a card in the field, pcscd gone and back"
for kill in 1 2 3; do
  tell remove 1
  tell insert 1
  stop_daemon KILL
  start_daemon
  tap
done
"$KARTA_PRIVATE_PCSCD" restart
put_back 1
deadline=$((SECONDS + 60))
until ask /v1/readers && [ "$(jq -r '.readers[0].state' answer)" = card ]; do
  [ $SECONDS -lt $deadline ] || { cat answer; no "the reader is not back"; }
  read -r -t 0.05 <> <(:) || true
done
tap
tap

step "a stopped card stays out"
run karta card suspend "$serial" --why "reported lost"
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
kill -HUP "$daemon"
# The counts begin anew with the configuration that is read again.
deadline=$((SECONDS + 60))
until ask /v1/gates && [ "$(jq '[.gates[].refused.stopped // 0] | add' answer)" -gt 0 ]; do
  [ $SECONDS -lt $deadline ] || { cat answer; no "the card still passes"; }
  tell remove 1
  put_back 1
done
stop_daemon

step "journal, openings and the card's numbers agree"
run karta journal verify state/journal.sqlite
run karta transit settle state/journal.sqlite --masters "$masters" --keys-fd 3 --json 3<<<"$passphrase"
cp "$work/out" settled
[ "$(jq .faultless settled)" = true ] || { cat settled; no "the settlement finds faults"; }
[ "$(jq '.findings | length' settled)" = 0 ] || { cat settled; no "something is not settled"; }
[ "$(jq .commits settled)" = "$(wc -l <openings)" ] || { cat settled openings; no "openings and commits differ"; }
[ "$(cut -d' ' -f2,3 openings | sort | uniq -d)" = "" ] || no "the gate opened twice for one"
run karta journal show state/journal.sqlite --json
sed '$d' "$work/out" | sed 's/"taken":[0-9]*/"taken":9/' >changed
refuse karta transit settle changed
