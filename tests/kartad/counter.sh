# A counter as it stands in a town: karta-identity with its desk, kartad without any issuer's key, a card in a reader.
# Activate, unblock, renew, load an application, an account for one-time codes, replace; a card pulled and a server killed in the middle; and who may not.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../identity/server_lib.sh"
: "${KARTAD:?names the kartad program}"
daemon=
stop_daemon() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  daemon=
}
trap 'code=$?; stop_daemon; [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  [ $code -eq 0 ] || tail -n 20 "$work/daemon.log" "$work/server.log"; (exit $code); finish' EXIT
cd "$work"
socket=$work/kartad.sock

make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
issue "001-001-999 65" "Reader 1"
run karta card ship "$serial" --why "posted"
umask 077
printf '%s\n' "$passphrase" >passphrase
printf '%s\n' "the counter's own" >counter.secret
openssl rand -hex 32 >login.secret

state_of() { # what the registry says
  run karta card status "$serial" --json
  sed -n 's/^ *"state": "\(.*\)",$/\1/p' "$work/out"
}

step "the centre's server with its desk, known by TLS"
host_certificate --san ip:127.0.0.1
[ "$unit_passphrase" = "$passphrase" ] || no "the test's two passphrases are one"
identity_config() { # desk?
  cat >identity.toml <<CONF
schema = "karta.identity/1"
database = "centre/registry.sqlite"
[server]
listen = ["127.0.0.1:${port:-0}"]
[tls]
key = "host.key"
certificate = "host.pem"
passphrase_file = "passphrase"
[authority]
centre = "centre"
passphrase_file = "passphrase"
desk = $1
[authority.accounts]
secret_file = "login.secret"
[authority.tls]
key = "centre/keys/issuing.key.pem"
certificate = "centre/ca/issuing.crt.pem"
passphrase_file = "passphrase"
CONF
}
identity_config true
ends 0 karta-identity serve --config identity.toml --check
begin_server() {
  start_server
  url=https://127.0.0.1:$port
}
begin_server
identity_config true  # the same port when it comes back

step "the counter is enrolled with a code, and gets certificates for days"
enrol() { # NAME ROLE
  run karta terminal enrol "$1" --role "$2" --json
  code=$(sed -n 's/^ *"code": "\(.*\)",$/\1/p' "$work/out")
  run karta terminal join "$url" --role "$2" --folder "$work/$1" --roots "$KARTA_DIR/ca/root.crt.pem" \
    --passphrase-fd 3 3<<<"$code"$'\n'"the counter's own"
}
enrol window-1 counter

daemon_config() { # TERMINAL ROLE
  cat >kartad.toml <<TOML
schema = "karta.kartad/1"
state = "state"
[server]
listen = ["unix:$socket"]
[[caller]]
name = "desk-program"
uid = $(id -u)
verbs = ["*"]
[[reader]]
name = "*"
modes = ["counter"]
[[terminal]]
role = "$2"
folder = "$1"
passphrase_file = "counter.secret"
[trust]
[authority]
url = "$url"
roots = "centre/ca/root.crt.pem"
[counter]
TOML
}
ask() { # METHOD PATH [KEY JSON]
  curl --silent --show-error --max-time 120 --unix-socket "$socket" --request "$1" --write-out '\n%{http_code}\n' \
    --header 'Content-Type: application/json' ${3+--header "Idempotency-Key: $3"} ${4+--data "$4"} \
    "http://localhost$2" >answer 2>curl.err || return 1
  status=$(sed -n '$p' answer)
  sed -i '$d' answer
}
member() { jq -r "$1" answer; }
start_daemon() {
  rm -f "$socket"
  "$KARTAD" --config kartad.toml >>daemon.log 2>&1 &
  daemon=$!
  local deadline=$((SECONDS + 60))
  until ask GET /v1/readers && [ "$(member '.readers[0].state' 2>/dev/null)" = card ]; do
    kill -0 "$daemon" 2>/dev/null || { cat daemon.log; no "kartad ended"; }
    [ $SECONDS -lt $deadline ] || no "kartad does not see the card"
    read -r -t 0.05 <> <(:) || true
  done
}
done_well() { # what was asked last
  [ "$status" = 200 ] || { cat answer; no "this was to be done, and ended with $status"; }
}
mkdir -p state
daemon_config window-1 counter
ends 0 "$KARTAD" --config kartad.toml --check
start_daemon

step "a shipped card is activated, once"
ask POST /v1/activations a-1 '{"operator":"clerk 3","reason":"handed over"}'
done_well
[ "$(member .state) $(member .already)" = "active false" ] || no "the card is not active"
[ "$(state_of)" = active ] || no "the registry does not say so"
ask POST /v1/activations a-1 '{"operator":"clerk 3","reason":"handed over"}'
done_well
[ "$(member .already)" = false ] || no "a repeated request has another answer"
ask POST /v1/activations a-2 '{}'
done_well
[ "$(member .already)" = true ] || no "a second activation is not told from the first"

step "certificates are renewed, and programs see them"
run karta card read AUT --reader "Reader 1" --out before.pem
ask POST /v1/renewals r-1 '{}'
done_well
[ "$(member '[.certificates[].outcome] | unique | join(" ")')" = kept ] || no "something was renewed that was not due"
ask POST /v1/renewals r-2 '{"within_days":3660}'
done_well
[ "$(member '[.certificates[].outcome] | unique | join(" ")')" = renewed ] || no "not all was renewed"
run karta card read AUT --reader "Reader 1" --out after.pem
! cmp -s before.pem after.pem || no "the card has its old certificate"
run openssl verify -CAfile "$KARTA_DIR/ca/root.crt.pem" -untrusted "$KARTA_DIR/ca/issuing.crt.pem" after.pem

step "PINs: with the PUK at the counter, without it by the issuer's letter"
choose_pins "Reader 1"
for _ in 1 2 3; do karta card change-pin --reader "Reader 1" --pin-fd 3 3<<<"999999"$'\n'"135790" >/dev/null 2>&1 || true; done
ask POST /v1/unblockings u-1 "{\"with\":\"puk\",\"puk\":\"$puk\",\"new_pin\":\"246813\"}"
done_well
run karta card change-pin --reader "Reader 1" --pin-fd 3 3<<<"246813"$'\n'"$holder_pin1"
ask POST /v1/unblockings u-2 '{"with":"letter"}'
done_well
[ "$(member .by)" = letter ] || no "no letter"
transport=$(sed -n 's/.*transport PIN1: \([0-9]*\)$/\1/p' "$KARTA_DIR/letters/$serial-PIN1.txt")
[ ${#transport} -eq 5 ] || no "the letter has no PIN"
run karta card change-pin --reader "Reader 1" --pin-fd 3 3<<<"$transport"$'\n'"$holder_pin1"
ask POST /v1/unblockings u-3 '{"with":"letter","which":"PIN2"}'
[ "$status" = 403 ] || { cat answer; no "the issuer resets the PIN of a qualified key"; }
# As words of their own: five digits of a transport PIN stand in some hash or time by chance.
for secret in "$puk" 246813 "$transport"; do
  ! grep -arqwF "$secret" daemon.log server.log state || no "a secret was kept or logged"
done

step "a department's application is loaded through the counter"
run karta domain offer "$work/lib" --aid F04B4152544110 --trust "$KARTA_DIR/ca/root.crt.pem" --reader "Reader 1" \
  --passphrase-fd 3 3<<<"department secret"
ask POST /v1/agreements
[ "$status" != 200 ] || no "an agreement without a body"
ask POST /v1/applications l-1 "{\"aid\":\"F04B4152544110\",\"offer\":\"$(jq -r .message "$work/lib.offer")\"}"
done_well
member .receipt >"$work/lib.receipt"
run karta domain accept "$work/lib" --passphrase-fd 3 3<<<"department secret"

step "an account for one-time codes: the secret is told once"
account='{"login":"Sample.Citizen","way":"app","agreed":true,"operator":"clerk 3","reason":"application 17"}'
ask POST /v1/accounts o-1 "$account"
done_well
secret=$(member .otpauth | sed -n 's/^otpauth:\/\/totp\/karta:sample\.citizen?secret=\([A-Z2-7]\{32\}\)&.*/\1/p')
[ ${#secret} -eq 32 ] || no "the app is told no secret"
member .qr | grep -q '^<svg ' || no "there is no picture of it"
ask POST /v1/accounts o-1 "$account"
done_well
[ "$(member '.login + " " + (.otpauth // "none")')" = "sample.citizen none" ] || no "it is told twice"
ends 0 karta account show "001-001-999 65" --secret-file login.secret
says "sample.citizen  app"
ask POST /v1/accounts o-2 '{"login":"sample.citizen","way":"mail","mail":"sample@mail.example","agreed":true}'
[ "$status $(member .type)" = "503 urn:karta:error:configuration" ] || { cat answer; no "nobody sends codes here: $status"; }
ask POST /v1/accounts o-3 '{"login":"sample.citizen","way":"app"}'
[ "$status" = 400 ] || no "an account nobody asked for: $status"
! grep -arqF "$secret" daemon.log server.log state centre/registry.sqlite* || no "the secret was kept or logged"
ask POST /v1/account-removals o-4 '{"agreed":true}'
done_well
[ "$(member .already)" = false ] || no "there was an account"
ask POST /v1/account-removals o-5 '{"agreed":true}'
[ "$(member .already)" = true ] || no "there is none any more"
ends 66 karta account show "001-001-999 65" --secret-file login.secret

step "a card whose power fails in the middle is finished with the same request"
for command in 4 9 15 22; do
  tell cut-power 1 command=$command write=1
  ask POST /v1/renewals "cut-$command" '{"within_days":3660}'
  case $status in 409 | 503) ;; *) cat answer; no "a card cut at command $command ended with $status" ;; esac
  put_back 1
  deadline=$((SECONDS + 30))
  until ask GET /v1/readers && [ "$(member '.readers[0].state' 2>/dev/null)" = card ]; do
    [ $SECONDS -lt $deadline ] || no "the card never came back"
    read -r -t 0.05 <> <(:) || true
  done
  ask POST /v1/renewals "cut-$command" '{"within_days":3660}'
  done_well
done
for key in AUT SIG QES ENC; do
  rm -f key.pem
  run karta card read $key --reader "Reader 1" --out key.pem
  run openssl verify -CAfile "$KARTA_DIR/ca/root.crt.pem" -untrusted "$KARTA_DIR/ca/issuing.crt.pem" key.pem
done

step "the server killed: the counter says so, and goes on when it is back"
stop_server KILL || true
ask POST /v1/renewals k-1 '{}'
[ "$status" = 503 ] || { cat answer; no "without a network a renewal ended with $status"; }
[ "$(member .type)" = urn:karta:error:io ] || no "no network has another kind"
begin_server
ask POST /v1/renewals k-1 '{}'
done_well

step "another card is ordered in its place, and the old one ends when it is lost"
ask POST /v1/replacements x-1 '{"why":"damaged"}'
done_well
[ "$(member '.old.state + " " + .ordered.state')" = "active ordered" ] || no "a damaged card ended too early"
run karta card replace "$serial" --reason lost --why "reported lost" --json
[ "$(sed -n 's/^ *"already": \(.*\)$/\1/p' "$work/out")" = true ] || no "two cards were ordered in its place"
[ "$(state_of)" = revoked ] || no "a lost card still counts"
ask POST /v1/renewals n-1 '{}'
[ "$status" = 403 ] || { cat answer; no "a revoked card was renewed"; }

step "the journal has it all, and its chain is whole"
run karta journal verify state/journal.sqlite
karta journal show state/journal.sqlite --json >records
for deed in activate renew unblock application account account-removal replace; do
  [ "$(jq -r "select(.kind == \"counter\" and .body.deed == \"$deed\" and .body.phase == \"ended\") | .body.outcome" records | sort -u | paste -sd' ')" != "" ] \
    || no "the journal knows of no $deed"
done
! grep -q "another history" server.log || no "the authority takes the journal for a fork"
stop_daemon

step "who is no counter has no desk"
enrol ward-1 clinic
daemon_config ward-1 clinic
rm -rf state && mkdir state
ends 78 "$KARTAD" --config kartad.toml
says 'role "counter"'
run karta terminal revoke window-1 --why "stolen"
daemon_config window-1 counter
rm -rf state && mkdir state
start_daemon
ask POST /v1/activations z-1 '{}'
[ "$status" = 403 ] || { cat answer; no "a revoked counter is served: $status"; }
stop_daemon
stop_server
