# kartad at a clinic and a pharmacy behind a real pcscd: a visit, a redemption that is done once through a kill, who may
# call, live events, readers and pcscd going and coming, a card put on the stop-list, and a card of region A at a clinic
# of region B that knows the trust list alone.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
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

ask() { # METHOD PATH [JSON [CURL WORDS...]]
  local method=$1 path=$2 body=${3-}
  shift $(($# < 3 ? $# : 3))
  curl --silent --show-error --max-time 60 --unix-socket "$socket" --request "$method" --write-out '\n%{http_code}\n' \
    --header 'Content-Type: application/json' ${body:+--data "$body"} "$@" "http://localhost$path" >answer 2>curl.err || return 1
  status=$(sed -n '$p' answer)
  sed -i '$d' answer
}
member() { jq -r "$1" answer; }
is() { # STATUS [JQ-EXPRESSION VALUE]...
  local wanted=$1
  shift
  [ "$status" = "$wanted" ] || { cat answer; no "the answer was to be $wanted, and is $status"; }
  while [ $# -gt 0 ]; do
    [ "$(member "$1")" = "$2" ] || { cat answer; no "$1 was to be $2, and is $(member "$1")"; }
    shift 2
  done
}
reader_is() { # STATE: until the first reader is so
  local deadline=$((SECONDS + 60))
  until ask GET /v1/readers && [ "$(member '.readers[0].state')" = "$1" ]; do
    [ $SECONDS -lt $deadline ] || { cat answer; no "the reader never was \"$1\""; }
    read -r -t 0.05 <> <(:) || true
  done
}
start_daemon() {
  rm -f "$socket"
  "$KARTAD" --config kartad.toml >>daemon.log 2>&1 &
  daemon=$!
  local deadline=$((SECONDS + 60))
  until ask GET /healthz; do
    kill -0 "$daemon" 2>/dev/null || no "kartad ended"
    [ $SECONDS -lt $deadline ] || no "kartad does not answer"
    read -r -t 0.05 <> <(:) || true
  done
  reader_is card
}
configure() { # CENTRE, then lines of [trust] and of further tables
  cat >kartad.toml <<TOML
schema = "karta.kartad/1"
state = "$work/state-$(basename "$1")"
[server]
listen = ["unix:$socket"]
[[caller]]
name = "program"
uid = $(id -u)
verbs = ["*"]
[[reader]]
name = "*"
modes = ["clinic", "pharmacy"]
[[terminal]]
role = "clinic"
folder = "$1/terminals"
passphrase_file = "$work/secret"
[[terminal]]
role = "pharmacy"
folder = "$1/terminals"
passphrase_file = "$work/secret"
[clinic]
[pharmacy]
keys = "$1/keys/transactions.key.pem"
passphrase_file = "$work/secret"
[trust]
$2
TOML
}
visit() { ask POST /v1/visits "{\"can\":\"$can\",\"purpose\":\"treatment\"}" || no "no answer: $(cat curl.err)"; }
redeem() { # KEY PRESCRIPTION
  ask POST /v1/redemptions "{\"can\":\"$can\",\"medicine\":\"A10BA02\",\"packages\":1,\"prescription\":$2}" -H "Idempotency-Key: $1"
}

step "a centre, a card, terminals, a trust list"
make_centre
(umask 077 && echo "$passphrase" >secret)
run "$KARTA_SIM" new a.card
start_cards run a.card
issue "001-001-999 65" "Reader 1"
can=$(sed -n 's/^CAN: \([0-9]*\)$/\1/p' "$letter")
run karta card ship "$serial" --why "sent by post"
run karta card activate "$serial" --why "handed over"
run karta card update --grant A10BA02:4711:3:2099-12-31 --reader "Reader 1" --passphrase-fd 3 3<<<"$passphrase"
for role in clinic pharmacy; do run karta cv issue $role --passphrase-fd 3 3<<<"$passphrase"; done
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout national.key -out national.crt -days 30 -subj "/CN=National Root"
run openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout lists.key -out lists.csr -subj "/CN=Lists"
printf 'keyUsage=critical,digitalSignature\n' >lists.ext
run openssl x509 -req -in lists.csr -CA national.crt -CAkey national.key -CAcreateserial -days 20 -extfile lists.ext -out lists.crt
run openssl pkcs8 -topk8 -in lists.key -v2 aes-256-cbc -v2prf hmacWithSHA256 -passout pass:passphrase -out lists.enc
sequence=0
trust_list() { # ENTRIES...
  sequence=$((sequence + 1))
  rm -f trust.p7m
  run karta ca trust-list "$@" --sequence $sequence --days 3 --key lists.enc --certificate lists.crt --out trust.p7m --passphrase-fd 3 3<<<passphrase
}
trust_list "document-signer=$KARTA_DIR/ca/root.crt.pem" "unqualified-ca=$KARTA_DIR/ca/issuing.crt.pem" "cvca=$KARTA_DIR/terminals/XXKCVCA00001.cvcert"
trust="trust_list = \"$work/trust.p7m\"
roots = [\"$work/national.crt\"]"
configure "$KARTA_DIR" "$trust
stop_lists = [\"$KARTA_DIR/stop-lists\"]"

step "--check opens everything, and tells what cannot be opened"
run "$KARTAD" --config kartad.toml --check
sed 's/passphrase_file = .*secret"/passphrase_file = "nowhere"/' kartad.toml >off.toml
ends 66 "$KARTAD" --config off.toml --check
sed 's/^\[clinic\]/[clinic]\nsurprise = 1/' kartad.toml >off.toml
ends 78 "$KARTAD" --config off.toml --check
says 'off.toml:' '"clinic.surprise"'

step "a visit; what the role may not read is in no answer, and nothing travels in the clear"
start_daemon
before=$(wc -l <"$record")
visit
is 201 .decision accepted .card.state good '.holder.family_names' "Образцов" '.groups.refused | index("residence") != null' true
tail -n "+$((before + 1))" "$record" >visit.record
for planted in "Образцов" "Пример" "Тестович" "A10BA02"; do
  hex=$(printf %s "$planted" | od -An -tx1 | tr -d ' \n' | tr a-f A-F)
  if grep -qi "$hex" visit.record; then no "\"$planted\" travels in the clear"; fi
done
ask POST /v1/entitlements "{\"can\":\"$can\"}"
is 200 '.entitlements[0].medicine' A10BA02 '.entitlements[0].left' 3
if grep -q "Образцов\|insurance" answer; then no "a pharmacy's answer holds what is a clinic's"; fi

step "a package is redeemed once, however often it is asked for"
redeem k1 77 && is 200 .left 2 .settled false
cp answer first
redeem k1 77 && is 200 .left 2
cmp -s first answer || no "the repeated call has another answer"
stop_daemon
start_daemon
redeem k1 77 && is 200 .left 2
cmp -s first answer || no "the answer did not survive a restart"
redeem k1 78 && is 422 .type urn:karta:error:key-reused

step "killed while the card is at work: the call repeated is done once"
for round in 1 2; do
  (redeem "killed-$round" $((80 + round)) || true) &
  client=$!
  until [ "$(curl --silent --unix-socket "$socket" http://localhost/v1/readers | jq -r '.readers[0].state')" != card ]; do
    kill -0 $client 2>/dev/null || break
  done
  stop_daemon KILL
  wait $client || true
  start_daemon
  redeem "killed-$round" $((80 + round)) && is 200 .left $((2 - round))
done
redeem over 99 && is 403 .type urn:karta:error:not-permitted
run karta journal verify "$work/state-centre/journal.sqlite"
: >cut.sqlite # what is left of one is no whole journal of no records
ends 65 karta journal verify cut.sqlite
says "holds no journal"

step "who may call: another user, another name, another page"
ask GET /v1/status "" -H "Host: evil.example" && is 403 .type urn:karta:error:foreign-host
ask GET /v1/status "" -H "Origin: http://evil.example" && is 403 .type urn:karta:error:foreign-origin
chmod 0711 "$work" && chmod 0666 "$socket"
if id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null; then
  setpriv --reuid nobody --clear-groups curl --silent --unix-socket "$socket" http://localhost/v1/status >answer
  is "$status" .type urn:karta:error:unknown-caller
fi
deadline=$((SECONDS + 20))
until ask GET "/v1/journal?limit=500" && [ "$(member '[.records[] | select(.kind == "caller-refused")] | length')" -ge 2 ]; do
  [ $SECONDS -lt $deadline ] || no "refusals are not in the journal"
done

step "live events"
karta terminal watch --socket "$socket" --kind visit --count 1 >watched 2>watch.err &
watch=$!
until [ "$(curl --silent --unix-socket "$socket" http://localhost/metrics | sed -n 's/^kartad_event_streams_open \([0-9]*\).*/\1/p')" = 1 ]; do
  kill -0 $watch 2>/dev/null || { cat watch.err; no "the watch ended"; }
done
visit && is 201
wait $watch || { cat watch.err; no "the watch failed"; }
# How wide a step is in it depends on how busy this machine is.
grep -q "visit.*accepted" watched && grep -Eq '^ +\|[a-zA-Z-]*P[a-zA-Z-]*\| [0-9.]+ ms$' watched || { cat watched; no "the watch shows no bar of the visit"; }

step "the card taken out, the reader's pcscd gone and back"
tell remove
reader_is empty
visit && is 409 .type urn:karta:error:no-card
put_back
reader_is card
visit && is 201 .decision accepted
"$KARTA_PRIVATE_PCSCD" stop
deadline=$((SECONDS + 30))
until ask GET /healthz && [ "$status" = 503 ]; do [ $SECONDS -lt $deadline ] || no "nobody noticed that pcscd is gone"; done
visit && is 503 .type urn:karta:error:no-pcscd
"$KARTA_PRIVATE_PCSCD" start
put_back
reader_is card
visit && is 201 .decision accepted

step "a reload into citizen mode is refused and told, and the visits go on"
cp kartad.toml clinic.toml
cat >kartad.toml <<TOML
schema = "karta.kartad/1"
state = "$work/state-$(basename "$KARTA_DIR")"
[server]
listen = ["127.0.0.1:8471"]
[citizen]
[[citizen.provider]]
issuer = "https://id.example"
roots = ["$KARTA_DIR/ca/root.crt.pem"]
TOML
kill -HUP "$daemon"
deadline=$((SECONDS + 30))
until grep -q 'the configuration stays as it was.*citizen mode begins and ends with a restart only' daemon.log; do
  [ $SECONDS -lt $deadline ] || { cat daemon.log; no "nobody says that citizen mode needs a restart"; }
  read -r -t 0.05 <> <(:) || true
done
visit && is 201 .decision accepted
mv clinic.toml kartad.toml

step "the card is reported lost: refused once the next list is there"
run karta card suspend "$serial" --why "reported lost"
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
kill -HUP "$daemon"
deadline=$((SECONDS + 30))
until visit && [ "$(member .decision)" = refused ]; do [ $SECONDS -lt $deadline ] || { cat answer; no "the card is not refused"; }; done
is 201 '.reasons[0].code' stopped '.holder | length' 0 .card.state stopped
redeem stopped 100 && is 403 .type urn:karta:error:not-permitted
run karta card resume "$serial" --why "found again"
run karta stop-list build --passphrase-fd 3 3<<<"$passphrase"
stop_daemon

step "a card of this region at a clinic of another, which knows the trust list alone"
run karta init region-b --name "Region B" --country XB --passphrase-fd 3 3<<<"$passphrase"
run karta cv request XBKDV00001 --authority XXKCVCA00001 --key region-b/terminals/XBKDV00001.key.pem --out b.cvreq --passphrase-fd 3 3<<<"$passphrase"
run karta cv issue dv --request b.cvreq --passphrase-fd 3 3<<<"$passphrase"
for role in clinic pharmacy; do run karta cv issue $role --dir region-b --passphrase-fd 3 3<<<"$passphrase"; done
lists="stop_lists = [\"$KARTA_DIR/stop-lists\"]"
configure "$work/region-b" "$trust
$lists"
start_daemon
visit
[ "$status" != 201 ] || no "a terminal that this region never certified was let in"
stop_daemon
trust_list "document-signer=$KARTA_DIR/ca/root.crt.pem" "unqualified-ca=$KARTA_DIR/ca/issuing.crt.pem" \
  "cvca=$KARTA_DIR/terminals/XXKCVCA00001.cvcert" "cvca=$KARTA_DIR/terminals/XBKDV00001.cvcert"
start_daemon
visit
is 201 .decision accepted '.holder.family_names' "Образцов"
stop_daemon
