# karta verify --fetch against a server on this machine: what is asked for, what it changes, and what a server that is
# gone, wrong or hostile cannot do.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work"
unset KARTA_DIR
export no_proxy='*'
server=
trap 'code=$?; [ -z "$server" ] || kill "$server" 2>/dev/null || true; (exit $code); finish' EXIT

# The server: files of ./served, an OCSP responder of openssl's, an answer that never ends. Writes its port to ./port
# when it listens, and each request to ./asked.
mkdir served
mkfifo port
: >asked
cat >server.py <<'PY'
import http.server, os, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body, kind="application/octet-stream"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def note(self):
        with open("asked", "a") as out:
            out.write(self.command + " " + self.path.split("?")[0] + "\n")
    def do_GET(self):
        self.note()
        if self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"\x30" * 65536)
            except OSError:
                return
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        path = "served/" + os.path.basename(self.path)
        if not os.path.exists(path):
            self.send_error(404)
            return
        with open(path, "rb") as content:
            self.answer(content.read())
    def do_POST(self):
        self.note()
        request = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with open("request", "wb") as out:
            out.write(request)
        subprocess.run("openssl ocsp -index index.txt -rsigner ca.crt -rkey ca.key -CA ca.crt -reqin request -respout "
                       "response -ndays 1".split(), check=True, capture_output=True)
        with open("response", "rb") as content:
            self.answer(content.read(), "application/ocsp-response")
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port", "w") as out:
    out.write(str(server.server_address[1]) + "\n")
server.serve_forever()
PY
python3 server.py &
server=$!
read -r -t 30 port <port
url=http://127.0.0.1:$port

step "a chain whose certificates name the server"
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.crt -subj "/CN=Fetched Root" -days 30
# certify NAME ISSUER CA? [lines of extensions]
certify() {
  local name=$1 issuer=$2
  shift 2
  run openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -out "$name.csr" -subj "/CN=Fetched $name"
  printf '%s\n' "$@" >"$name.ext"
  run openssl x509 -req -in "$name.csr" -CA "$issuer.crt" -CAkey "$issuer.key" -CAcreateserial -days 20 -extfile "$name.ext" -out "$name.crt"
}
signer=("keyUsage=critical,digitalSignature,nonRepudiation" "extendedKeyUsage=emailProtection")
certify ca root "basicConstraints=critical,CA:true" "keyUsage=critical,keyCertSign,cRLSign,digitalSignature" \
  "crlDistributionPoints=URI:$url/root.crl" "authorityInfoAccess=caIssuers;URI:$url/root.cer"
certify by_list ca "${signer[@]}" "crlDistributionPoints=URI:$url/ca.crl" "authorityInfoAccess=caIssuers;URI:$url/ca.cer"
certify by_answer ca "${signer[@]}" "authorityInfoAccess=caIssuers;URI:$url/ca.cer,OCSP;URI:$url/ocsp"
certify gone ca "${signer[@]}" "authorityInfoAccess=caIssuers;URI:$url/nowhere.cer"
certify endless ca "${signer[@]}" "crlDistributionPoints=URI:$url/endless.crl" "authorityInfoAccess=caIssuers;URI:$url/ca.cer"
certify away ca "${signer[@]}" "crlDistributionPoints=URI:$url/away" "authorityInfoAccess=caIssuers;URI:$url/ca.cer"
certify local ca "${signer[@]}" "crlDistributionPoints=URI:file://$work/served/ca.crl" "authorityInfoAccess=caIssuers;URI:$url/ca.cer"

# publish: CRLs and index as openssl's CA database has them now.
printf '[ca]\ndefault_ca=here\n[here]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=5\n' >ca.cnf
: >index.txt
: >empty.txt
printf 'unique_subject = no\n' >index.txt.attr
echo 01 >number
known() { # certificate
  printf 'V\t%s\t\t%s\tunknown\t/CN=Fetched %s\n' "$(date -u -d '+20 days' +%y%m%d%H%M%SZ)" "$(openssl x509 -in "$1" -noout -serial | sed 's/serial=//')" "${1%.crt}" >>index.txt
}
for name in by_list by_answer gone endless away local; do known $name.crt; done
publish() {
  run openssl ca -config ca.cnf -gencrl -cert ca.crt -keyfile ca.key -out ca.pem
  run openssl crl -in ca.pem -outform DER -out served/ca.crl
  sed 's/index\.txt/empty.txt/' ca.cnf >root.cnf
  run openssl ca -config root.cnf -gencrl -cert root.crt -keyfile root.key -out root.pem
  run openssl crl -in root.pem -outform DER -out served/root.crl
}
publish
run openssl x509 -in ca.crt -outform DER -out served/ca.cer
run openssl x509 -in root.crt -outform DER -out served/root.cer
head -c 3000 /dev/urandom >document
for name in by_list by_answer gone endless away local; do
  # The signer's certificate alone goes in: the issuer is to be fetched.
  run openssl cms -sign -binary -cades -in document -outform DER -out $name.p7s -signer $name.crt -inkey $name.key
done
printf 'schema = "karta.validation-policy/1"\nrevocation = "required"\n' >strict.toml

# verify CODE NAME [WORDS]: under a policy that wants to know of revocation.
verify() {
  local code=$1 name=$2
  shift 2
  : >asked
  ends "$code" karta verify "$name.p7s" --content document --anchor root.crt --policy strict.toml "$@"
}
asked() { sort -u asked | tr '\n' ' '; }

step "without --fetch nothing is asked for"
verify 2 by_list
[ ! -s asked ] || no "asked without being told to: $(asked)"

step "addresses of this machine are not followed by a certificate's word alone"
verify 2 by_list --fetch
[ ! -s asked ] || no "a private address was reached: $(asked)"
says "127.0.0.1"

step "the issuer and the lists are fetched, and the verdict is one"
verify 0 by_list --fetch --any-address
says "TOTAL-PASSED"
[ "$(asked)" = "GET /ca.cer GET /ca.crl GET /root.crl " ] || no "asked for: $(asked)"

step "an OCSP answer where the certificate names a responder"
verify 0 by_answer --fetch --any-address
[ "$(asked)" = "GET /ca.cer GET /root.crl POST /ocsp " ] || no "asked for: $(asked)"

step "many documents of one signer ask once"
for one in first second; do cp by_list.p7s $one.p7s && cp document $one; done
: >asked
ends 0 karta verify first.p7s second.p7s --anchor root.crt --policy strict.toml --fetch --any-address
[ "$(grep -c 'ca.crl' asked)" = 1 ] || no "the list was fetched $(grep -c ca.crl asked) times"

step "what a server does not have, or should not say, leaves the verdict open and is told"
verify 2 gone --fetch --any-address
says "nowhere.cer"
began=$SECONDS
verify 2 endless --fetch --any-address
says "endless.crl"
verify 2 away --fetch --any-address
verify 2 local --fetch --any-address
if grep -q "file://" asked; then no "a file was asked for"; fi
[ $((SECONDS - began)) -lt 60 ] || no "an endless answer was read for $((SECONDS - began)) s"

step "a revoked signer"
for name in by_list by_answer; do run openssl ca -config ca.cnf -revoke $name.crt -keyfile ca.key -cert ca.crt -crl_reason keyCompromise; done
publish
for name in by_list by_answer; do
  code=0
  karta verify $name.p7s --content document --anchor root.crt --policy strict.toml --fetch --any-address >out 2>&1 || code=$?
  [ $code -eq 1 ] || [ $code -eq 2 ] || { cat out; no "$name is revoked, and karta verify ended with $code"; }
  says "REVOKED"
done

step "a server that is gone"
kill "$server"
wait "$server" 2>/dev/null || true
server=
verify 2 by_list --fetch --any-address
says "127.0.0.1"
echo "all steps passed"
