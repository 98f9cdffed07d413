# Terminals and their authority: a code, enrolment, renewal, revocation; journals that arrive once and forks that are
# refused; what a card's state is now; lists and rules; certificates that are expired, foreign or nobody's.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/server_lib.sh"
cd "$work"
make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
issue "001-001-999 65" "Reader 1"
run karta card activate "$serial" --why "handed over"
printf '%s\n' "$passphrase" >passphrase && chmod 600 passphrase
root=$KARTA_DIR/ca/root.crt.pem

step "the authority's server: TLS, the CA of terminals' certificates, stop-lists made here, an operator's token"
service_key web tls-server centre:issuing
host_certificate
service_key seal document-signer centre:issuing
run karta ca trust-list "document-signer=seal.only.pem" "cvca=$KARTA_DIR/terminals/XXKCVCA00001.cvcert" --sequence 1 \
  --key seal.key --certificate seal.pem --out trust.p7m --passphrase-fd 3 3<<<"$unit_passphrase"
refuse karta ca trust-list "cvca=passphrase" --sequence 1 --key seal.key --certificate seal.pem --out no.p7m \
  --passphrase-fd 3 3<<<"$unit_passphrase"
printf 'the rules of the gates\n' >rules.p7m
token=$(head -c 24 /dev/urandom | base64)
write_authority() {
  cat >identity.toml <<CONF
schema = "karta.identity/1"
database = "${KARTA_TEST_POSTGRES:-centre/registry.sqlite}"
[server]
listen = ["127.0.0.1:${port:-0}"]
workers = 2
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
desk = true
rules = "rules.p7m"
${1:-}
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
[[authority.operator]]
name = "registrar"
token_sha256 = "$(printf %s "$token" | sha256sum | cut -d ' ' -f 1)"
scopes = ["card-life", "card-status"]
CONF
}
printf '%s\n' "$unit_passphrase" >unit && chmod 600 unit
write_authority 'cv_week = 1'
ends 78 karta-identity serve --config identity.toml --check
says 'unknown key "authority.cv_week"'
write_authority
ends 0 karta-identity serve --config identity.toml --check
start_server
secure=https://localhost:$port
terminal_passphrase='the terminal keeps this'
# web STATUS ARGUMENTS...: a request that must be answered with this status; the body is in $work/out.
web() {
  local wanted=$1 got
  shift
  got=$(curl -s --noproxy '*' --cacert "$root" -o "$work/out" -w '%{http_code}' "$@" || true)
  [ "$got" = "$wanted" ] || { cat "$work/out"; no "$wanted was to come, and $got came: $*"; }
}
join() { # FOLDER ROLE CODE
  karta terminal join "$secure" --roots "$root" --folder "$1" --role "$2" "${@:4}" \
    --passphrase-fd 3 3< <(printf '%s\n%s\n' "$3" "$terminal_passphrase")
}

step "a terminal is invited, joins once, and is listed"
ends 64 karta terminal enrol clinic-1 --role palace
ends 64 karta terminal enrol "Clinic 1" --role clinic
run karta terminal enrol clinic-1 --role clinic --why "the reception's new machine" --json
code=$(sed -n 's/.*"code": "\(.*\)".*/\1/p' "$work/out")
[[ $code =~ ^([0-9A-Z]{5}-){3}[0-9A-Z]{5}$ ]] || no "no code: $code"
ends 77 join clinic clinic AAAAA-AAAAA-AAAAA-AAAAA
says "unknown, used or too old"
run join clinic clinic "$code" --json
says '"name": "clinic-1"' '"role": "clinic"'
for file in terminal.json tls.pem; do [ -s "clinic/$file" ] || no "the terminal keeps no $file"; done
ends 77 join thief clinic "$code"
says "unknown, used or too old"
run karta terminal list
says "clinic-1" "enrolled"
run karta terminal list clinic-1
says "enrolled" "by operator:" "the reception's new machine"
holder=$(cd clinic && ls XXCL*.cvcert)
run karta cv verify "clinic/XXKDV00001.cvcert" "clinic/$holder"
says "read-dg4" "read-insurance"

step "renewal: by hand, while the certificate lasts"
ends 66 karta terminal renew "$secure" --roots "$root" --folder nobodys --passphrase-fd 3 3<<<"$terminal_passphrase"
says "no folder of an enrolled terminal" "terminal join"
ends 77 karta terminal renew "$secure" --folder clinic --passphrase-fd 3 3<<<"$terminal_passphrase"
says "--roots"
run karta terminal renew "$secure" --roots "$root" --folder clinic --passphrase-fd 3 3<<<"$terminal_passphrase"
says "clinic-1"
[ "$(cd clinic && ls XXCL*00002.cvcert)" ] || no "no second certificate"
ends 77 karta terminal renew "$secure" --roots "$root" --folder clinic --rights read-dg1 \
  --passphrase-fd 3 3<<<"$terminal_passphrase"
says 'has not the right "read-dg1"'
run karta terminal renew "$secure" --roots "$root" --folder clinic --rights read-dg4,can-allowed \
  --passphrase-fd 3 3<<<"$terminal_passphrase"
run karta cv show clinic/XXCL*00004.cvcert
says "rights      can-allowed read-dg4"

step "a terminal as its authority sees it: by its certificate and by nothing else"
tls() { # FOLDER: leaves tls.crt and tls.key in the clear, for curl
  openssl pkey -in "$1/tls.pem" -passin "pass:$terminal_passphrase" -out "$1/tls.key"
  sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$1/tls.pem" >"$1/tls.crt"
}
tls clinic
mine=(--cert clinic/tls.crt --key clinic/tls.key)
web 200 "${mine[@]}" "$secure/v1/terminals/self"
says '"name":"clinic-1"' '"journal_to":0'
web 403 "$secure/v1/terminals/self"
says "none was shown" "urn:karta:error:not-permitted"

step "certificates that are expired, foreign or nobody's are refused, each with its reason"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout foreign.key -out foreign.crt -days 3 \
  -subj "/C=XX/O=Interop Centre/CN=clinic-1" 2>/dev/null
refuse curl -sf --noproxy '*' --cacert "$root" --cert foreign.crt --key foreign.key "$secure/v1/terminals/self"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout late.key -out late.csr -subj "/CN=clinic-1" 2>/dev/null
openssl pkey -in "$KARTA_DIR/keys/issuing.key.pem" -passin "pass:$passphrase" -out issuing.key
python3 - <<'PY'
import subprocess, datetime
# A certificate of yesterday: openssl ca alone takes its dates.
open("ca.cnf", "w").write("""[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
x509_extensions = uses
[any]
commonName = supplied
[uses]
extendedKeyUsage = clientAuth
""")
open("index.txt", "w").close()
open("serial", "w").write("1234\n")
day = lambda n: (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=n)).strftime("%Y%m%d%H%M%SZ")
def certify(out, start, end):
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "centre/ca/issuing.crt.pem", "-keyfile", "issuing.key",
                    "-in", "late.csr", "-out", out, "-startdate", day(start), "-enddate", day(end)], check=True, stderr=subprocess.DEVNULL)
    open("index.txt", "w").close()
certify("late.crt", -3, -1)
certify("nobody.crt", -1, 1)
PY
refuse curl -sf --noproxy '*' --cacert "$root" --cert late.crt --key late.key "$secure/v1/terminals/self"
web 403 --cert nobody.crt --key late.key "$secure/v1/terminals/self"
says "no terminal's"
eventually grep -q 'TLS with 127.0.0.1 failed: .*certificate has expired' server.log
eventually grep -q 'TLS with 127.0.0.1 failed: .*self.signed certificate' server.log

step "journals: once, in order, forks and gaps refused and remembered"
id=$(sed -n 's/.*"terminal": "\([0-9a-f]*\)".*/\1/p' clinic/terminal.json)
python3 - "$id" <<'PY'
import hashlib, json, sys
def chain(start, count, previous, word):
    out = []
    for number in range(start, start + count):
        seconds, kind, body = 1795334400 + number, "visit", '{"word":"%s"}' % word
        digest = hashlib.sha256(previous + number.to_bytes(8, "big") + seconds.to_bytes(8, "big") + kind.encode() + body.encode()).digest()
        time = "2026-11-22T08:00:%02dZ" % number
        assert number < 60
        out.append((digest, '{"number":%d,"time":"%s","kind":"%s","body":%s,"previous":"%s","hash":"%s"}' %
                    (number, time, kind, body, previous.hex(), digest.hex())))
        previous = digest
    return out
def upload(name, records):
    head = json.dumps({"schema": "karta.journal.upload/1", "terminal": sys.argv[1]}, separators=(",", ":"))
    open(name, "w").write("\n".join([head] + [line for _, line in records]) + "\n")
import calendar
base = calendar.timegm((2026, 11, 22, 8, 0, 0))
assert base == 1795334400, base
whole = chain(1, 40, bytes(32), "a")
upload("first", whole[:30])
upload("rest", whole[20:])
upload("gap", chain(50, 2, bytes(32), "a"))
upload("fork", chain(31, 3, whole[29][0], "b"))
PY
# sent STATUS FILE: a batch of the terminal's journal, and how it is answered.
sent() { web "$1" "${mine[@]}" -H 'Content-Type: application/x-ndjson' --data-binary "@$2" "$secure/v1/terminals/self/journal"; }
sent 200 first
says '"to":30'
sent 200 first
says '"to":30'
sent 200 rest
says '"to":40'
sent 409 fork
says "another history" "urn:karta:error:already-exists"
sent 409 gap
says "41 to 49" "are missing"
run karta terminal list clinic-1
says "40 records; record 31 differs" "journal-fork"

step "killed in the middle of uploads, it has what it acknowledged"
python3 - "$secure" "$root" "$server" "$id" <<'PY'
import hashlib, http.client, json, os, signal, ssl, sys, threading
url, root, server, terminal = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(cafile=root)
context.load_cert_chain("clinic/tls.crt", "clinic/tls.key")
host, port = url.split("//")[1].split(":")
connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=20)
connection.request("GET", "/v1/terminals/self")
me = json.loads(connection.getresponse().read())
number, previous, taken = me["journal_to"], bytes.fromhex(me["journal_hash"]), me["journal_to"]
head = json.dumps({"schema": "karta.journal.upload/1", "terminal": terminal}, separators=(",", ":"))
import calendar
seconds = calendar.timegm((2026, 11, 22, 9, 0, 0))
try:
    for batch in range(1000):
        lines = [head]
        for _ in range(20):
            number += 1
            body = '{"batch":%d}' % batch
            digest = hashlib.sha256(previous + number.to_bytes(8, "big") + seconds.to_bytes(8, "big") + b"visit" + body.encode()).digest()
            lines.append('{"number":%d,"time":"2026-11-22T09:00:00Z","kind":"visit","body":%s,"previous":"%s","hash":"%s"}' %
                         (number, body, previous.hex(), digest.hex()))
            previous = digest
        connection.request("POST", "/v1/terminals/self/journal", "\n".join(lines) + "\n", {"Content-Type": "application/x-ndjson"})
        if batch == 25:
            os.kill(server, signal.SIGKILL)
        answer = json.loads(connection.getresponse().read())
        taken = answer["to"]
except (ConnectionError, http.client.HTTPException, ssl.SSLError):
    pass
assert taken >= me["journal_to"] + 20 * 25, taken
open("taken", "w").write(str(taken))
PY
wait "$server" 2>/dev/null || true
server=
start_server
secure=https://localhost:$port
web 200 "${mine[@]}" "$secure/v1/terminals/self"
to=$(sed 's/.*"journal_to":\([0-9]*\).*/\1/' "$work/out")
[ "$to" -ge "$(cat taken)" ] || no "the journal ends at $to, and $(cat taken) was acknowledged"

step "a card's state, now: terminals and operators may ask, operators move it on, and lists follow"
run karta card status "$serial" --json
index=$(sed -n 's/.*"status_index": \([0-9]*\).*/\1/p' "$work/out")
web 200 "${mine[@]}" "$secure/v1/cards/$index/status"
says '"verdict":"good"' '"state":"active"'
web 200 "${mine[@]}" "$secure/v1/cards/999999999/status"
says '"verdict":"unknown"'
web 403 "$secure/v1/cards/$index/status"
operator=(-H "Authorization: Bearer $token" -H 'Content-Type: application/json')
suspend='{"schema":"karta.card.step/1","to":"suspended","why":"lost in a tram"}'
web 403 "${mine[@]}" -H 'Content-Type: application/json' -d "$suspend" "$secure/v1/cards/$index/life"
web 200 "${operator[@]}" -H 'Idempotency-Key: 1' -d "$suspend" "$secure/v1/cards/$index/life"
says '"state":"suspended"'
web 200 "${operator[@]}" -H 'Idempotency-Key: 1' -d "$suspend" "$secure/v1/cards/$index/life"
web 403 "${operator[@]}" -d "$suspend" "$secure/v1/cards/$index/life"
says "cannot become suspended"
web 200 "${mine[@]}" "$secure/v1/cards/$index/status"
says '"verdict":"stopped"'
is_listed() {
  curl -sf --noproxy '*' --cacert "$root" -o full "$secure/v1/stop-list/full" &&
    curl -sf --noproxy '*' --cacert "$root" -o delta "$secure/v1/stop-list/delta" &&
    ! karta stop-list check full --delta delta --index "$index"
}
eventually is_listed
says "$index  stopped"
web 200 -D head "$secure/v1/rules"
says "the rules of the gates"
etag=$(sed -n 's/^ETag: \("[0-9a-f]*"\).*/\1/p' head)
web 304 -H "If-None-Match: $etag" "$secure/v1/rules"
web 200 "$secure/trust-list"
cmp -s "$work/out" trust.p7m || no "another trust list"

step "a revoked terminal is refused at once, its certificate is on the authority's lists, its name is gone"
ends 64 karta terminal revoke clinic-1
run karta terminal revoke clinic-1 --why stolen
web 403 "${mine[@]}" "$secure/v1/terminals/self"
says "is revoked"
ends 77 karta terminal renew "$secure" --roots "$root" --folder clinic --passphrase-fd 3 3<<<"$terminal_passphrase"
says 'the terminal "clinic-1" is revoked'
sent 403 rest
ends 77 karta terminal enrol clinic-1 --role clinic
run karta ca crl centre:issuing --out revoked.crl --passphrase-fd 3 3<<<"$passphrase"
number=$(openssl x509 -in clinic/tls.crt -noout -serial | sed 's/serial=//')
openssl crl -inform DER -in revoked.crl -noout -text >list.txt
grep -q "Serial Number: $number" list.txt || no "the terminal's certificate is not on the CRL"

step "another region: its verifier under this authority, its terminals good under both"
run karta init region-b --name "Region B" --country XB --passphrase-fd 3 3<<<"$passphrase"
run karta cv request XBKDV00001 --authority XXKCVCA00001 --key region-b/terminals/XBKDV00001.key.pem --out b.cvreq \
  --passphrase-fd 3 3<<<"$passphrase"
run karta cv issue dv --request b.cvreq --passphrase-fd 3 3<<<"$passphrase"
ends 73 karta cv issue dv --request b.cvreq --passphrase-fd 3 3<<<"$passphrase"
run karta cv issue clinic --dir region-b --passphrase-fd 3 3<<<"$passphrase"
run karta cv verify "$KARTA_DIR/terminals/XBKDV00001.cvcert" region-b/terminals/XBCLINIC00001.cvcert
says "read-dg4"
run karta cv verify --dir region-b region-b/terminals/XBKDV00001.cvcert region-b/terminals/XBCLINIC00001.cvcert
run karta ca trust-list "cvca=$KARTA_DIR/terminals/XXKCVCA00001.cvcert" "cvca=$KARTA_DIR/terminals/XBKDV00001.cvcert" \
  --sequence 2 --key seal.key --certificate seal.pem --out trust-2.p7m --passphrase-fd 3 3<<<"$unit_passphrase"
run openssl cms -verify -inform DER -in trust-2.p7m -CAfile "$root" -purpose any -out list.json
grep -q '"name": "XBKDV00001"' list.json || no "the verifier is not on the trust list"
stop_server || no "the server did not end cleanly"
