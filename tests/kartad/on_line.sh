# kartad and its authority: a terminal that knows one root certificate and a code fetches trust list and stop-list, sends
# its journal, learns of a suspended card, works on while the authority is away, renews itself, and is revoked.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../identity/server_lib.sh"
: "${KARTAD:?names the kartad program}"
daemon=
stop_daemon() { # [signal]
  [ -z "$daemon" ] || kill "-${1:-TERM}" "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  daemon=
}
trap 'code=$?; stop_daemon KILL; [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  [ $code -eq 0 ] || tail -n 20 "$work/daemon.log" "$work/server.log"; (exit $code); finish' EXIT
cd "$work"
socket=$work/kartad.sock
faketime=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1)
[ -e "$faketime" ] || no "faketime is not installed"

ask() { # METHOD PATH [JSON]
  curl --silent --show-error --max-time 60 --unix-socket "$socket" --request "$1" --write-out '\n%{http_code}\n' \
    --header 'Content-Type: application/json' ${3+--data "$3"} "http://localhost$2" >answer 2>curl.err || return 1
  status=$(sed -n '$p' answer)
  sed -i '$d' answer
}
member() { jq -r "$1" answer; }
# until JQ-EXPRESSION VALUE: kartad's status says so, in the end.
until_status() {
  local deadline=$((SECONDS + 60))
  until ask GET /v1/status && [ "$(member "$1")" = "$2" ]; do
    kill -0 "$daemon" 2>/dev/null || no "kartad ended"
    [ $SECONDS -lt $deadline ] || { cat answer; no "$1 never was \"$2\""; }
    read -r -t 0.05 <> <(:) || true
  done
}
start_daemon() { # COMMAND...
  rm -f "$socket"
  "$@" "$KARTAD" --config kartad.toml >>daemon.log 2>&1 &
  daemon=$!
  until_status '.readers[0].state' card
}
# reload: returns when the daemon has read its configuration again.
times_read() { grep -c 'the configuration \(was read again\|stays as it was\)' daemon.log || true; }
reload() {
  local before deadline=$((SECONDS + 60))
  before=$(times_read)
  kill -HUP "$daemon"
  until [ "$(times_read)" -gt "$before" ]; do
    [ $SECONDS -lt $deadline ] || no "kartad does not read its configuration again"
    read -r -t 0.02 <> <(:) || true
  done
}
visit() { ask POST /v1/visits "{\"can\":\"$can\",\"purpose\":\"treatment\"}" || no "no answer: $(cat curl.err)"; }
decision_is() {
  visit
  [ "$(member .decision)" = "$1" ] || { cat answer; no "the decision was to be $1"; }
}

step "a centre with a card, its authority on line"
make_centre
run "$KARTA_SIM" new a.card
start_cards run a.card
issue "001-001-999 65" "Reader 1"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta card activate "$serial" --why "handed over"
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
(umask 077 && printf '%s\n' "$passphrase" >passphrase && printf '%s\n' "$unit_passphrase" >unit)
root=$KARTA_DIR/ca/root.crt.pem
host_certificate
service_key seal document-signer centre:issuing
run karta ca trust-list "document-signer=$root" "unqualified-ca=$KARTA_DIR/ca/issuing.crt.pem" --sequence 1 \
  --key seal.key --certificate seal.pem --out trust.p7m --passphrase-fd 3 3<<<"$unit_passphrase"
port=0
authority() {
  cat >identity.toml <<CONF
schema = "karta.identity/1"
database = "centre/registry.sqlite"
[server]
listen = ["127.0.0.1:$port"]
[tls]
key = "host.key"
certificate = "host.pem"
passphrase_file = "unit"
[trust_list]
file = "trust.p7m"
roots = ["centre/ca/root.crt.pem"]
[authority]
centre = "centre"
passphrase_file = "passphrase"
cv_days = 3
tls_days = 3
[authority.tls]
key = "centre/keys/issuing.key.pem"
certificate = "centre/ca/issuing.crt.pem"
passphrase_file = "passphrase"
[authority.stop_list]
folder = "centre/stop-lists"
key = "centre/keys/issuing.key.pem"
certificate = "centre/ca/issuing.crt.pem"
passphrase_file = "passphrase"
issuer = "Interop Centre"
after_change_seconds = 0
CONF
  start_server
}
authority
secure=https://localhost:$port

step "a terminal joins by its code"
run karta terminal enrol clinic-1 --role clinic --why "the reception" --json
code=$(sed -n 's/.*"code": "\(.*\)".*/\1/p' "$work/out")
(umask 077 && echo "the terminal keeps this" >secret)
run karta terminal join "$secure" --roots "$root" --folder terminal --role clinic \
  --passphrase-fd 3 3< <(printf '%s\n%s\n' "$code" "$(cat secret)")
id=$(jq -r .terminal terminal/terminal.json)

step "kartad knows a root and an address, and fetches the rest"
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
name = "*"
modes = ["clinic"]
[[terminal]]
role = "clinic"
folder = "$work/terminal"
passphrase_file = "$work/secret"
[trust]
roots = ["$root"]
[authority]
url = "$secure"
roots = "$root"
upload_seconds = 1
[clinic]
receipt = false
TOML
start_daemon env
until_status '[.trust[] | select(.kind == "trust-list" or .kind == "stop-list") | .state] | join(" ")' "fresh fresh"
[ "$(member .journal.terminal)" = "$id" ] || no "the journal is not the enrolled terminal's"
decision_is accepted

step "its journal arrives"
# arrived: the authority has all that is in the journal.
arrived() {
  until_status '.upload.state == "done" and .upload.uploaded_to == .journal.last' true
  local here
  here=$(member .upload.uploaded_to)
  karta terminal list clinic-1 --json >listed
  [ "$(jq '.terminals[0].journal_to' listed)" -ge "$here" ] || { cat listed; no "the authority has less than record $here"; }
  [ "$(jq -r '.terminals[0].journal_fault' listed)" = null ] || { cat listed; no "the authority found a fault"; }
}
arrived

step "a card suspended at the centre is refused at the desk"
run karta card suspend "$serial" --why "reported lost"
deadline=$((SECONDS + 60))
until
  reload
  visit
  [ "$(member .decision)" = refused ]
do
  [ $SECONDS -lt $deadline ] || { cat answer; no "the suspended card is accepted still"; }
  read -r -t 0.3 <> <(:) || true
done
[[ $(member '[.reasons[].code] | join(" ")') == *stopped* ]] || { cat answer; no "refused, and not for the stop-list"; }
[ "$(member .holder)" = '{}' ] || no "a refused card was read"
run karta card resume "$serial" --why "found"
deadline=$((SECONDS + 60))
until
  reload
  visit
  [ "$(member .decision)" = accepted ]
do
  [ $SECONDS -lt $deadline ] || { cat answer; no "the resumed card is refused still"; }
  read -r -t 0.3 <> <(:) || true
done

step "asked on line, the authority's word counts at once, whatever the list says"
codes() { member '[.reasons[].code] | join(" ")'; }
sed -i 's/^\[clinic\]$/&\nask_on_line = true/' kartad.toml
reload
decision_is accepted
[ "$(codes)" = "genuine active-on-line" ] || { cat answer; no "the authority was not asked"; }
run karta card suspend "$serial" --why "reported lost"
decision_is refused
[ "$(codes)" = "stopped-on-line genuine" ] || { cat answer; no "refused, and not by the authority's word"; }
run karta card resume "$serial" --why "found"
decision_is accepted

step "the authority goes away: visits go on, the journal waits, and nothing is lost when it comes back"
stop_server KILL || true
for _ in 1 2 3; do decision_is accepted; done
[[ $(codes) == *not-asked* ]] || { cat answer; no "nobody is told that the authority was not asked"; }
until_status .upload.state away
stop_daemon KILL
start_daemon env
decision_is accepted
authority
arrived

step "two days later it renews itself"
stop_daemon
before=$(cd terminal && ls XXC*.cvcert)
start_daemon env LD_PRELOAD="$faketime" FAKETIME=+50h FAKETIME_DONT_FAKE_MONOTONIC=1
deadline=$((SECONDS + 60))
until [ "$(cd terminal && ls XXC*.cvcert)" != "$before" ]; do
  [ $SECONDS -lt $deadline ] || { ask GET /v1/status && cat answer; no "the terminal did not renew itself"; }
  read -r -t 0.1 <> <(:) || true
done
stop_daemon
# The clock is two days behind what was lived through, until the authority says that it is right.
start_daemon env
until_status .clock fine
until_status '.terminals[0].state' fine
decision_is accepted

step "revoked, it is refused from then on, and says so"
run karta terminal revoke clinic-1 --why "stolen"
decision_is accepted # off line, by what it has: certificates end in days
until_status .upload.state refused
run karta journal verify state/journal.sqlite
says "the chain is whole"
stop_daemon
stop_server || true
