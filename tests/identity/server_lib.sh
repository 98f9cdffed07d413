# What the scripts about karta-identity share: a centre, its services' keys and certificates, and a server over it.
# shellcheck shell=bash disable=SC1091,SC2034,SC2154
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$tests/e2e/lib.sh"
server=
unit_passphrase='only for this test'

# service_key NAME PROFILE CA: a key under the passphrase, and its certificate with the CAs above it.
service_key() {
  run karta ca request --subject "CN=Test $1,O=Interop Centre,C=XX" --key-type p256 --key-out "$1.key" --out "$1.csr" \
    --passphrase-fd 3 3<<<"$unit_passphrase"
  run karta ca issue "$3" --request "$1.csr" --profile "$2" --out "$1.only.pem" --passphrase-fd 3 3<<<"$passphrase"
  cat "$1.only.pem" "$KARTA_DIR/ca/issuing.crt.pem" "$KARTA_DIR/ca/root.crt.pem" >"$1.pem"
}

# host_certificate [OPTIONS]: host.key under the unit's passphrase and host.pem, by which the server is "localhost".
host_certificate() {
  run karta ca request --subject "CN=localhost,O=Interop Centre,C=XX" --san dns:localhost "$@" --key-type p256 --key-out host.key \
    --out host.csr --passphrase-fd 3 3<<<"$unit_passphrase"
  run karta ca issue centre:issuing --request host.csr --profile tls-server --out host.only.pem --passphrase-fd 3 3<<<"$passphrase"
  cat host.only.pem "$KARTA_DIR/ca/issuing.crt.pem" "$KARTA_DIR/ca/root.crt.pem" >host.pem
}

# write_config [LINES]: identity.toml over the centre; LINES go to the end of [server].
write_config() {
  cat >identity.toml <<CONF
schema = "karta.identity/1"
database = "${KARTA_TEST_POSTGRES:-centre/registry.sqlite}"

[server]
listen = ["127.0.0.1:${port:-0}"]
workers = 2
${1:-}

[limits]
request_seconds = 2
connections_per_address = 40

[[ca]]
name = "issuing"
certificate = "centre/ca/issuing.crt.pem"
[ca.ocsp]
key = "ocsp.key"
certificate = "ocsp.pem"
passphrase_file = "passphrase"
[ca.crl]
key = "centre/keys/issuing.key.pem"
passphrase_file = "passphrase"
delta_hours = 24
after_revocation_seconds = 0

[[ca]]
name = "root"
certificate = "centre/ca/root.crt.pem"
[ca.crl]

[time_stamp]
key = "tsa.key"
certificate = "tsa.pem"
passphrase_file = "passphrase"
policy = "2.999.3"

[trust_list]
file = "trust.p7m"
roots = ["centre/ca/root.crt.pem"]
CONF
}

# start_server: returns when it has told READY=1, as systemd would hear it; leaves $url.
start_server() {
  local line
  rm -f "$work/notify"
  python3 - "$work/notify" "$work/notified" <<'PY' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
with open(sys.argv[2], "w") as out:
    while True:
        try:
            text = s.recv(4096).decode()
        except TimeoutError:
            break
        out.write(text.replace("\n", " ") + "\n")
        out.flush()
        if "STOPPING=1" in text or "READY=1" in text:
            break
PY
  local listener=$!
  until [ -S "$work/notify" ]; do read -r -t 0.02 <> <(:) || true; done
  NOTIFY_SOCKET=$work/notify "$KARTA_BIN/karta-identity" serve --config identity.toml 2>>server.log &
  server=$!
  wait "$listener" || true
  line=$(cat "$work/notified")
  case $line in
    *READY=1*) ;;
    *) cat server.log; no "the server is not ready: $line" ;;
  esac
  port=$(sed -n 's/.*listening at 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/notified")
  url=http://127.0.0.1:$port
}
stop_server() { # [signal]
  local code=0
  kill "-${1:-TERM}" "$server"
  wait "$server" || code=$?
  server=
  return "$code"
}
# What the server said last tells why a script failed.
trap 'code=$?; [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  [ $code -eq 0 ] || tail -n 20 server.log 2>/dev/null || true; (exit $code); finish' EXIT

# eventually COMMAND...: until it succeeds, with a deadline. A reload opens every key under its passphrase, which is made
# to cost a processor's time: on a busy machine that is many seconds.
eventually() {
  local deadline=$((SECONDS + 60))
  until "$@" >"$work/out" 2>&1; do
    [ $SECONDS -lt $deadline ] || { cat "$work/out"; no "this never came true: $*"; }
    read -r -t 0.1 <> <(:) || true
  done
}
fetch() { curl -sf --noproxy '*' -o "$2" "$url$1"; }
