# karta-identity over a centre of `karta init`, asked by openssl and curl: OCSP, CRLs, time-stamps, trust list; what a
# revocation changes, and when; what bad clients, bad configurations and a sudden death do.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/server_lib.sh"
cd "$work"
make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
issue "001-001-999 65" "Reader 1"
choose_pins "Reader 1"
printf '%s\n' "$passphrase" >passphrase && chmod 600 passphrase

step "the centre certifies its services, publishes a trust list and a CRL of the root"
service_key ocsp ocsp centre:issuing
service_key tsa tsa centre:issuing
service_key seal document-signer centre:issuing
service_key host tls-server centre:issuing
service_key spare tls-server centre:issuing
run karta ca trust-list "qualified-ca=$KARTA_DIR/ca/root.crt.pem" "time-stamp=tsa.only.pem" --sequence 1 --key seal.key \
  --certificate seal.pem --out trust.p7m --passphrase-fd 3 3<<<"$unit_passphrase"
run karta ca crl centre:root --passphrase-fd 3 3<<<"$passphrase"
run karta card read SIG --reader "Reader 1" --out citizen.pem

step "--check says what is wrong, and where"
write_config 'wokers = 2'
ends 78 karta-identity serve --config identity.toml --check
says 'identity.toml:7: unknown key "server.wokers"'
write_config
ends 0 karta-identity serve --config identity.toml --check
mv ocsp.key ocsp.away
ends 66 karta-identity serve --config identity.toml --check
says 'ocsp.key'
mv ocsp.away ocsp.key
chmod 644 passphrase
ends 77 karta-identity serve --config identity.toml --check
says 'chmod 600'
chmod 600 passphrase
ends 64 karta-identity serve
ends 66 karta-identity serve --config nowhere.toml

start_server
root=$KARTA_DIR/ca/root.crt.pem issuing=$KARTA_DIR/ca/issuing.crt.pem

# status CERTIFICATE: what openssl ocsp is told, its own verdict on the answer included.
status() {
  run openssl ocsp -issuer "$issuing" -cert "$1" -url "$url/ocsp" -CAfile "$root" -verify_other "$issuing" "${@:2}"
  says "Response verify OK"
}

step "OCSP: openssl asks about a citizen's certificate and a server's"
status citizen.pem
says "citizen.pem: good"
status host.only.pem
says "host.only.pem: good"
status host.only.pem -no_nonce
says "good"
run openssl ocsp -issuer "$issuing" -serial 0x1234 -url "$url/ocsp" -CAfile "$root"
says "0x1234: unknown"
run openssl ocsp -issuer "$issuing" -cert host.only.pem -no_nonce -reqout request.der
request=$(openssl base64 -A -in request.der | sed 's/+/%2B/g; s/\//%2F/g; s/=/%3D/g')
run curl -sf -D head -o answer.der "$url/ocsp/$request"
run openssl ocsp -respin answer.der -issuer "$issuing" -cert host.only.pem -no_nonce -CAfile "$root"
says "host.only.pem: good"
grep -qi '^Cache-Control: public, no-transform, must-revalidate, max-age=300' head || no "the answer cannot be cached"
etag=$(sed -n 's/^ETag: \("[0-9a-f]*"\).*/\1/p' head)
[ "$(curl -s -o nothing -w '%{http_code}' -H "If-None-Match: $etag" "$url/ocsp/$request")" = 304 ] || no "no 304"

step "CRLs: complete and delta, read and believed by openssl"
fetch /crl/issuing.crl issuing.crl
fetch /crl/issuing/delta.crl delta.crl
fetch /crl/root.crl root.crl
run openssl crl -inform DER -in issuing.crl -CAfile "$issuing" -noout -crlnumber
says "verify OK"
openssl crl -inform DER -in issuing.crl -out issuing.crl.pem
openssl crl -inform DER -in root.crl -out root.crl.pem
cat issuing.crl.pem root.crl.pem >both.crl.pem
run openssl verify -crl_check_all -CRLfile both.crl.pem -CAfile "$root" -untrusted "$issuing" citizen.pem

step "a revocation is seen at once, by every way and in every place"
serial=$(openssl x509 -in host.only.pem -noout -serial | sed 's/serial=//')
run karta ca revoke centre:issuing host.only.pem --reason keyCompromise
status host.only.pem
says "host.only.pem: revoked" "Reason: keyCompromise"
status host.only.pem -no_nonce
says "host.only.pem: revoked"
run curl -sf -o answer.der "$url/ocsp/$request"
run openssl ocsp -respin answer.der -issuer "$issuing" -cert host.only.pem -no_nonce -CAfile "$root"
says "host.only.pem: revoked"
lists_it() {
  fetch "$1" list.crl && openssl crl -inform DER -in list.crl -noout -text >list.txt && grep -q "Serial Number: $serial" list.txt
}
eventually lists_it /crl/issuing/delta.crl
run karta ca crl centre:issuing --out ours.crl --passphrase-fd 3 3<<<"$passphrase"
hands_out_ours() { lists_it /crl/issuing.crl && cmp -s ours.crl list.crl; }
eventually hands_out_ours
openssl crl -inform DER -in list.crl -out issuing.crl.pem
cat issuing.crl.pem root.crl.pem >both.crl.pem
refuse openssl verify -crl_check_all -CRLfile both.crl.pem -CAfile "$root" -untrusted "$issuing" host.only.pem
says "certificate revoked"
run openssl verify -crl_check_all -CRLfile both.crl.pem -CAfile "$root" -untrusted "$issuing" citizen.pem
ends 73 karta ca revoke centre:issuing host.only.pem

step "a hold and its release"
run karta ca revoke centre:issuing spare.only.pem --reason certificateHold
status spare.only.pem
says "revoked" "certificateHold"
run karta ca revoke centre:issuing spare.only.pem --reason removeFromCRL
status spare.only.pem
says "spare.only.pem: good"

step "time-stamps: openssl ts asks and is content"
printf 'a document\n' >document.txt
run openssl ts -query -data document.txt -sha256 -cert -out request.tsq
run curl -sf -H 'Content-Type: application/timestamp-query' --data-binary @request.tsq -o answer.tsr "$url/tsa"
run openssl ts -verify -queryfile request.tsq -in answer.tsr -CAfile "$root" -untrusted "$issuing"
says "Verification: OK"
printf 'another\n' >other.txt
refuse openssl ts -verify -data other.txt -in answer.tsr -CAfile "$root" -untrusted "$issuing"

step "the trust list opens under the root"
fetch /trust-list fetched.p7m
cmp fetched.p7m trust.p7m || no "another trust list"
run openssl cms -verify -inform DER -in fetched.p7m -CAfile "$root" -purpose any -out list.json
grep -q '"schema": "karta.trust-list/1"' list.json || no "no trust list inside"

step "karta-sign signs at B-LT by itself where the user's services are configured"
mkdir -p config/karta signed
cat >config/karta/services.toml <<CONF
schema = "karta.services/1"
[time_stamp]
url = "$url/tsa"
[revocation]
fetch = false
[certificates]
files = ["$root", "$issuing"]
CONF
run karta ca crl centre:issuing --out ours-2.crl --passphrase-fd 3 3<<<"$passphrase"
run env XDG_CONFIG_HOME="$work/config" karta-sign document.txt --output-dir signed --revocation ours-2.crl \
  --revocation root.crl --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
ends 0 karta verify signed/document.txt.p7s --content document.txt --anchor "$root" --json
says '"level": "CAdES-B-LT"'
sed -i 's/url = .*/ulr = "x"/' config/karta/services.toml
ends 78 env XDG_CONFIG_HOME="$work/config" karta-sign other.txt --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
says 'services.toml:2: "time_stamp.url" is missing'

step "health and metrics"
run curl -sf "$url/healthz"
says '"status":"ok"'
run curl -sf "$url/metrics"
says 'karta_ocsp_answers_total{source="signed"}' 'karta_time_stamps_total{outcome="granted"} '

step "slow, large and many: the others are served"
python3 - "$port" <<'PY'
import socket, sys, time
port = int(sys.argv[1])
def connect(source="127.0.0.1"):
    s = socket.socket()
    s.settimeout(60)
    s.bind((source, 0))
    s.connect(("127.0.0.1", port))
    return s
def ask(source):
    s = connect(source)
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while part := s.recv(4096):
        answer += part
    return answer.split(b" ", 2)[1]
def flood():
    """Forty who dawdle, and a flood from the same address: (slow, asked, refused) for as long as each of the forty has
    its place, which is two seconds from before the first of them on, whatever this machine does meanwhile."""
    slow, asked, refused = [], 0, 0
    began = time.monotonic()
    for i in range(40):
        s = connect()
        s.sendall(b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\nX-")
        slow.append(s)
    while asked < 200:
        try:
            answer = ask("127.0.0.1")
        except ConnectionError:
            answer = b"503"
        if time.monotonic() - began >= 2:
            break
        asked += 1
        refused += answer == b"503"
    return slow, asked, refused
def over(slow):
    for s in slow:  # each loses its connection in its time, and hears why
        answer = b""
        try:
            while part := s.recv(4096):
                answer += part
        except ConnectionError:
            pass
        assert not answer or answer.split(b" ", 2)[1] == b"408", answer
    deadline = time.monotonic() + 60  # a place is free a moment after its connection has ended
    while ask("127.0.0.1") != b"200":
        assert time.monotonic() < deadline, "no place is free again"
for attempt in range(10):
    slow, asked, refused = flood()
    assert refused == asked, (asked, refused)
    assert ask("127.0.0.2") == b"200"
    over(slow)
    if asked > 0:  # else this machine was too busy to ask once in the two seconds: again
        break
assert asked > 0
s = connect()
try:
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1000000 + b"\r\n\r\n")
    answer = s.recv(4096)
except ConnectionError:
    answer = b"HTTP/1.1 431 reset"
assert answer.split(b" ", 2)[1] == b"431", answer
PY

step "a reload takes a new trust list and a new configuration, and keeps the old where the new is wrong"
run karta ca trust-list "qualified-ca=$root" --sequence 2 --key seal.key --certificate seal.pem --out trust-2.p7m \
  --passphrase-fd 3 3<<<"$unit_passphrase"
mv trust-2.p7m trust.p7m
is_second() { fetch /trust-list fetched.p7m && cmp -s fetched.p7m trust.p7m; }
eventually is_second
write_config 'wokers = 2'
kill -HUP "$server"
eventually grep -q 'the configuration stays as it was' server.log
run curl -sf "$url/healthz"
write_config
sed -i 's/^name = "root"/name = "old-root"/' identity.toml
kill -HUP "$server"
eventually curl -sf -o nothing "$url/crl/old-root.crl"
gone() { [ "$(curl -s -o nothing -w '%{http_code}' "$url$1")" = 404 ]; }
eventually gone /crl/root.crl
write_config

step "killed in the middle of work, it comes back with everything, and no CRL number twice"
before=$(openssl crl -inform DER -in ours-2.crl -noout -crlnumber)
stop_server KILL 2>/dev/null || true
run karta ca revoke centre:issuing spare.only.pem --reason superseded
start_server
status spare.only.pem
says "spare.only.pem: revoked" "superseded"
run karta ca crl centre:issuing --out ours-3.crl --passphrase-fd 3 3<<<"$passphrase"
after=$(openssl crl -inform DER -in ours-3.crl -noout -crlnumber)
[[ $((16#${after#*0x})) -gt $((16#${before#*0x})) ]] || no "number $after after $before"

step "a clean stop answers what has arrived"
python3 - "$port" "$server" request.der <<'PY'
import os, signal, socket, sys
port, server = int(sys.argv[1]), int(sys.argv[2])
body = open(sys.argv[3], "rb").read()
request = (b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
sockets = []
for i in range(20):
    s = socket.create_connection(("127.0.0.1", port))
    s.settimeout(60)
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    s.recv(4096)  # it is being served: what follows is on a connection the server has
    sockets.append(s)
for s in sockets:
    s.sendall(request * 50)
os.kill(server, signal.SIGTERM)
answers = 0
for s in sockets:
    text = b""
    while part := s.recv(65536):
        text += part
    answers += text.count(b"HTTP/1.1 200 OK")
assert answers == 20 * 50, answers
PY
wait "$server" || no "the server did not end cleanly"
server=

step "over TLS, with a time-stamp key in a token"
run karta ca request --subject "CN=localhost,O=Interop Centre,C=XX" --san dns:localhost --key-type p256 --key-out web.key \
  --out web.csr --passphrase-fd 3 3<<<"$unit_passphrase"
run karta ca issue centre:issuing --request web.csr --profile tls-server --out web.only.pem --passphrase-fd 3 3<<<"$passphrase"
cat web.only.pem "$issuing" >web.pem
mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\n' "$work" >softhsm.conf
export SOFTHSM2_CONF=$work/softhsm.conf
run softhsm2-util --init-token --free --label "Test HSM" --pin 1234 --so-pin 5678
uri="pkcs11:token=Test%20HSM;object=tsa?module-path=$(find /usr/lib -name libsofthsm2.so -print -quit)"
run karta ca request --subject "CN=Test HSM TSA,O=Interop Centre,C=XX" --key-type p256 --key-out "$uri" --out hsm.csr \
  --passphrase-fd 3 3<<<1234
run karta ca issue centre:issuing --request hsm.csr --profile tsa --out hsm.pem --passphrase-fd 3 3<<<"$passphrase"
printf '1234\n' >pin && chmod 600 pin
write_config
sed -i -e "s|^key = \"tsa.key\"|key = \"$uri\"|" -e 's|^certificate = "tsa.pem"|certificate = "hsm.pem"|' identity.toml
sed -i '/^key = "pkcs11:/,/^policy/ s/^passphrase_file = .*/passphrase_file = "pin"/' identity.toml
printf '[tls]\nkey = "web.key"\ncertificate = "web.pem"\npassphrase_file = "passphrase"\n' >>identity.toml
start_server
secure=https://localhost:$port
run curl -sf --noproxy '*' --cacert "$root" "$secure/healthz"
says '"status":"ok"'
refuse curl -sf --noproxy '*' --cacert "$root" "http://localhost:$port/healthz"
refuse curl -sf --noproxy '*' --cacert "$root" --tls-max 1.1 "$secure/healthz"
for _ in 1 2 3 4; do  # both workers, each with a session of its own in the token
  run curl -sf --noproxy '*' --cacert "$root" -H 'Content-Type: application/timestamp-query' --data-binary @request.tsq \
    -o answer.tsr "$secure/tsa"
  run openssl ts -verify -queryfile request.tsq -in answer.tsr -CAfile "$root" -untrusted "$issuing"
done
stop_server || no "the server did not end cleanly"
