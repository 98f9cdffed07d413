# kartad in hard times, with a card behind a real pcscd: two daemons, kill -9, a full disk, a journal damaged at its end,
# a clock that leaps ten years, days without a network. Each has a stated outcome, and nothing acknowledged is lost.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
: "${KARTAD:?names the kartad program}"
daemon=
stop_daemon() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  daemon=
}
trap 'code=$?; stop_daemon; [ $code -eq 0 ] || tail -n 20 "$work/daemon.log"; umount "$state" 2>/dev/null || true; (exit $code); finish' EXIT

socket=$work/kartad.sock state=$work/state journal=$work/state/journal.sqlite

make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
issue "001-001-999 65" "Reader 1"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta cv issue clinic --passphrase-fd 3 3<<<"$passphrase"
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
(umask 077 && echo "$passphrase" >"$work/secret")

# A disk of its own, small enough to be filled.
mkdir -p "$state"
mount -t tmpfs -o size=12m,mode=700 none "$state"

configure() { # lines of more tables
  cat >"$work/kartad.toml" <<TOML
schema = "karta.kartad/1"
state = "$state"
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
folder = "$KARTA_DIR/terminals"
passphrase_file = "$work/secret"
[trust]
stop_lists = ["$KARTA_DIR/stop-lists"]
stop_list_signers = ["$KARTA_DIR/ca/issuing.crt.pem"]
document_signers = ["$KARTA_DIR/ca/root.crt.pem"]
[clinic]
receipt = false
$1
TOML
}

ask() { # METHOD PATH [JSON]
  curl --silent --show-error --max-time 60 --unix-socket "$socket" --request "$1" --write-out '\n%{http_code}\n' \
    --header 'Content-Type: application/json' ${3+--data "$3"} "http://localhost$2" >"$work/answer" 2>"$work/curl.err" || return 1
  status=$(sed -n '$p' "$work/answer")
  sed -i '$d' "$work/answer"
}
member() { jq -r "$1" "$work/answer"; }

# start_daemon [COMMAND...]: kartad under COMMAND, until it answers and sees the card.
start_daemon() {
  rm -f "$socket"
  "$@" "$KARTAD" --config "$work/kartad.toml" >>"$work/daemon.log" 2>&1 &
  daemon=$!
  local deadline=$((SECONDS + 60))
  until ask GET /v1/readers && [ "$(member '.readers[0].state')" = card ]; do
    kill -0 "$daemon" 2>/dev/null || no "kartad ended"
    [ $SECONDS -lt $deadline ] || no "kartad does not see the card"
    read -r -t 0.05 <> <(:) || true
  done
}
# start_daemon_at OFFSET: the same, with a clock that stands apart by so much: +3650d.
faketime=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1)
[ -e "$faketime" ] || no "faketime is not installed"
start_daemon_at() { start_daemon env LD_PRELOAD="$faketime" FAKETIME="$1" FAKETIME_DONT_FAKE_MONOTONIC=1; }
visit() { ask POST /v1/visits "{\"can\":\"$can\",\"purpose\":\"treatment\",\"case\":\"$1\"}"; }
good_visit() {
  visit "$1" || no "no answer to a visit: $(cat "$work/curl.err")"
  [ "$status $(member .decision)" = "201 accepted" ] || { cat "$work/answer"; no "a visit was to be accepted, and ended with $status"; }
  member .journal_record >>"$work/acknowledged"
}
# The last answer, a decision or an error, says that it is the clock.
names_the_clock() {
  [[ $(member '.detail // ([.reasons[].code] | join(" "))') == *clock* ]] || { cat "$work/answer"; no "nobody is told that the clock is wrong"; }
}
whole() { # every visit acknowledged is in the journal
  run karta journal verify "$journal"
  karta journal show "$journal" --json >"$work/records"
  jq -r 'select(.kind == "visit") | .number' "$work/records" | sort >"$work/present"
  sort "$work/acknowledged" | comm -23 - "$work/present" >"$work/lost"
  [ ! -s "$work/lost" ] || { cat "$work/lost"; no "acknowledged visits are not in the journal"; }
}
count() { jq -r "select(.kind == \"$1\") | .number" "$work/records" | wc -l; }

step "a visit, and its record"
configure ""
start_daemon
good_visit first
whole

step "a second daemon is refused, and told who writes; the first goes on"
sed "s|$socket|$work/other.sock|" "$work/kartad.toml" >"$work/second.toml"
ends 75 "$KARTAD" --config "$work/second.toml"
says "is being written by kartad, process $daemon"
good_visit second

step "killed at work, again and again"
for round in 1 2 3; do
  good_visit "round $round"
  (visit "killed $round" || true) &
  client=$!
  # Once the card is at work: the kill falls inside the visit.
  until [ "$(curl --silent --unix-socket "$socket" http://localhost/v1/readers | jq -r '.readers[0].state' 2>/dev/null)" != card ]; do
    kill -0 "$client" 2>/dev/null || break
  done
  kill -9 "$daemon"
  wait "$daemon" 2>/dev/null || true
  wait "$client" || true
  start_daemon
  whole
done

step "the disk is full: refused before anything is promised, and good again with room"
dd if=/dev/zero of="$state/filler" bs=64k 2>/dev/null || true
for try in 1 2 3 4 5 6 7 8 9 10; do
  visit "full $try" || no "no answer on a full disk"
  [ "$status" = 201 ] || break
  member .journal_record >>"$work/acknowledged"
done
[ "$status" != 201 ] || no "visits were acknowledged on a full disk without end"
[ "$(member .type)" = urn:karta:error:io ] || { cat "$work/answer"; no "a full disk has another kind"; }
ask GET /v1/status
[ "$(member .journal.health)" = full ] || no "the journal does not say that it is full"
ask GET /healthz
[ "$status" = 503 ] || no "healthz says $status on a full disk"
whole
rm "$state/filler"
ask GET /v1/status
[ "$(member .journal.health)" = fine ] || no "the journal does not notice that there is room again"
good_visit "room again"
whole

step "the journal's end is damaged: put aside, told, and work goes on"
stop_daemon
karta journal show "$journal" --json >"$work/records"
last=$(tail -n 1 "$work/records" | jq .number)
size=$(stat -c %s "$journal")
dd if=/dev/urandom of="$journal" bs=4096 seek=$((size / 4096 - 1)) count=1 conv=notrunc 2>/dev/null
start_daemon
good_visit "after the damage"
run karta journal verify "$journal"
says "its end was found damaged" "the chain is whole"
[ -s "$journal.damaged-1" ] || no "the damaged journal was not kept"
karta journal show "$journal" --json >"$work/records"
first=$(jq -r 'select(.kind == "damage") | .number' "$work/records")
[ "$first" -gt "$last" ] || no "a number once acknowledged was given again"
ask GET /v1/status
# What was cut off is beside the journal: from here on only what came after counts as lost or there.
tail -n 1 "$work/acknowledged" >"$work/acknowledged.new" && mv "$work/acknowledged.new" "$work/acknowledged"

step "the clock leaps ten years ahead: nobody is accepted by it, and it is right again"
stop_daemon
start_daemon_at +3650d
ask GET /v1/status
[ "$(member .clock)" = leapt ] || { cat "$work/answer"; no "the leap was not noticed"; }
visit leapt || no "no answer after a leap"
[ "$(member .decision)" != accepted ] || no "a card was accepted by a clock ten years ahead"
names_the_clock
stop_daemon
start_daemon
ask GET /v1/status
[ "$(member .clock)" = fine ] || { cat "$work/answer"; no "the clock is right, and kartad says otherwise"; }
good_visit "right again"
whole
[ "$(count clock)" -ge 2 ] || no "the journal does not tell of the leap and its end"

step "the clock is set back by a year"
stop_daemon
start_daemon_at -365d
ask GET /v1/status
[ "$(member .clock)" = back ] || { cat "$work/answer"; no "the step back was not noticed"; }
visit back || no "no answer after a step back"
[ "$(member .decision)" != accepted ] || no "a card was accepted by a clock a year behind"
names_the_clock
stop_daemon

step "days without a network: the stop-list is used while policy allows, the journal waits"
configure '[authority]
url = "http://127.0.0.1:9"
upload_seconds = 1
[policy.visit]
stop_list_hours = 72'
start_daemon
good_visit "no network"
stop_daemon
# The list was to be followed by another after eight days; ten days on it is stale, thirteen too old.
start_daemon_at +10d
good_visit "ten days"
[[ $(member '[.reasons[].code] | join(" ")') == *stop-list-stale* ]] || no "nobody is told that the stop-list is stale"
deadline=$((SECONDS + 30))
until ask GET /v1/status && [ "$(member .upload.state)" = away ]; do
  [ $SECONDS -lt $deadline ] || { cat "$work/answer"; no "the uploader does not say that the authority is away"; }
  read -r -t 0.1 <> <(:) || true
done
[ "$(member .upload.waiting)" -gt 0 ] || no "nothing waits to be uploaded"
stop_daemon
start_daemon_at +13d
visit "thirteen days" || no "no answer after thirteen days"
[ "$(member .decision)" = refused ] || no "a stop-list was used beyond what policy allows"
[[ $(member '[.reasons[].code] | join(" ")') == *stop-list-too-old* ]] || no "nobody is told that the stop-list is too old"
stop_daemon
whole

step "the program of docs/journal.md agrees"
if command -v python3 >/dev/null; then
  awk '/^```python$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$tests/../docs/journal.md" >"$work/check.py"
  run python3 "$work/check.py" <"$work/records"
  sed '3s/"number":/"number":9/' "$work/records" >"$work/changed"
  refuse python3 "$work/check.py" <"$work/changed"
fi

step "lines are a journal too"
run karta journal verify "$work/records" --json
says '"whole": true'
sed '2d' "$work/records" >"$work/gap"
ends 1 karta journal verify "$work/gap"
says "gap"
