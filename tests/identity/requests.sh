# Requests between departments from the outside: departments are registered, one asks the registry and another
# department, receipts and answers come back and are kept; openssl believes every one of them; what is forged, foreign,
# late, revoked or not permitted is refused.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/server_lib.sh"
cd "$work"
make_centre
printf '%s\n' "$passphrase" >passphrase && chmod 600 passphrase
printf '%s\n' "$unit_passphrase" >unit && chmod 600 unit
root=$KARTA_DIR/ca/root.crt.pem issuing=$KARTA_DIR/ca/issuing.crt.pem
snils='001-001-999 65'
basis='Sample Act 7, article 3'

step "the centre certifies the departments and the seal of receipts"
service_key seal document-signer centre:issuing
for name in pension-fund tax-service stranger; do
  service_key "$name" "$tests/../docs/examples/department-certificate.toml" centre:issuing
done
run karta ca request --subject "CN=localhost,O=Interop Centre,C=XX" --san dns:localhost --key-type p256 --key-out host.key \
  --out host.csr --passphrase-fd 3 3<<<"$unit_passphrase"
run karta ca issue centre:issuing --request host.csr --profile tls-server --out host.only.pem --passphrase-fd 3 3<<<"$passphrase"
cat host.only.pem "$issuing" >host.pem
write_requests() {
  cat >identity.toml <<CONF
schema = "karta.identity/1"
database = "centre/registry.sqlite"
[server]
listen = ["127.0.0.1:${port:-0}"]
[tls]
key = "host.key"
certificate = "host.pem"
passphrase_file = "unit"
[requests]
key = "seal.key"
certificate = "seal.pem"
passphrase_file = "unit"
roots = ["centre/ca/root.crt.pem", "centre/ca/issuing.crt.pem"]
certificates = true
${1:-}
CONF
}
write_requests 'most_delay = 3'
ends 78 karta-identity serve --config identity.toml --check
says 'unknown key "requests.most_delay"'
write_requests
ends 0 karta-identity serve --config identity.toml --check
start_server
secure=https://localhost:$port

step "departments are registered: what each may ask, by which law, and what it answers"
ends 64 karta department add pension-fund --certificate pension-fund.only.pem --ask insurance
says "names no legal basis"
ends 64 karta department add registry --certificate pension-fund.only.pem
run karta department add pension-fund --title "Pension fund of the sample land" --certificate pension-fund.pem \
  --ask "insurance=$basis" --ask "concessions=$basis" --ask "income=$basis" --delay "Sample Act 9" --token --why "an order"
cp "$work/out" fund.out
tail -n 1 fund.out >fund.token && chmod 600 fund.token
[ "$(wc -c <fund.token)" -gt 40 ] || no "no token: $(cat fund.out)"
ends 73 karta department add pension-fund --certificate stranger.only.pem
ends 73 karta department add other --certificate pension-fund.only.pem
run karta department add tax-service --title "Tax service" --certificate tax-service.only.pem --answer income --days 3 \
  --token --json
python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["new_token"])' "$work/out" >tax.token && chmod 600 tax.token
run karta department add stranger --certificate stranger.only.pem --token
tail -n 1 "$work/out" >stranger.token && chmod 600 stranger.token
run karta department list
says "pension-fund  active" "tax-service  active"
run karta department show tax-service
says "is asked     income" "answers in   3 days" "added"

request() { # VERB ARGUMENTS...: as the pension fund
  karta request "$1" "$secure" --roots "$root" --token-file fund.token "${@:2}"
}
signed() { # as above, with its key
  request "$@" --key pension-fund.key --certificate pension-fund.pem --pin-fd 3 3<<<"$unit_passphrase"
}
ask=(--from pension-fund --basis "$basis" --purpose "reckon a pension" --case 12-7 --snils "$snils")

step "the registry is asked and answers at once; every document is what openssl believes"
mkdir fund tax
run signed send --to registry "${ask[@]}" --ask insurance --ask concessions --out fund --json
id=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["id"])' <(sed -n '/^{/,$p' "$work/out"))
for part in request receipt answer answer-receipt; do
  run openssl cms -verify -inform DER -in "fund/$id.$part.p7m" -CAfile "$root" -purpose any -out "$part.json"
done
python3 - "$id" <<'PY'
import hashlib, json, sys
identity = sys.argv[1]
request, receipt, answer, late = (json.load(open(f"{n}.json")) for n in ("request", "receipt", "answer", "answer-receipt"))
digest = lambda part: hashlib.sha256(open(f"fund/{identity}.{part}.p7m", "rb").read()).hexdigest()
assert request["schema"] == "karta.request/1" and request["id"] == identity, request
assert receipt["request_sha256"] == digest("request") == answer["request_sha256"], receipt
assert late["answer_sha256"] == digest("answer"), late
assert answer["from"] == "registry" and set(answer["data"]) == {"insurance", "concessions"}, answer
PY
run karta request check "fund/$id.request.p7m" --receipt "fund/$id.receipt.p7m" --answer "fund/$id.answer.p7m" \
  --answer-receipt "fund/$id.answer-receipt.p7m" --anchor "$root" --receipt-certificate seal.only.pem
says "TOTAL-PASSED" "answered in time"
run karta verify "fund/$id.answer.p7m" --anchor "$root"

step "the same request again is no second one; an altered one is none"
run request send "fund/$id.request.p7m" --out fund
run karta request list "$secure" --roots "$root" --token-file fund.token --box sent --json
[ "$(grep -c '"id"' "$work/out")" = 1 ] || no "the request is there twice"
python3 - "$id" <<'PY'
import sys
octets = bytearray(open(f"fund/{sys.argv[1]}.request.p7m", "rb").read())
at = octets.index(b"12-7")
octets[at] ^= 1
open("altered.p7m", "wb").write(octets)
PY
ends 65 request send altered.p7m --out fund
says "the signature does not hold"

step "a department is asked: it finds the request, answers, and the asker fetches that"
run signed send --to tax-service "${ask[@]}" --ask income --question "for 2025" --out fund --json
second=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["id"])' <(sed -n '/^{/,$p' "$work/out"))
ends 0 request fetch "$second" --out fund
[ ! -e "fund/$second.answer.p7m" ] || no "an answer out of nowhere"
tax() { karta request "$1" "$secure" --roots "$root" --token-file tax.token "${@:2}"; }
run tax list
says "$second  pension-fund to tax-service  income  until"
printf '{"income": [{"year": 2025, "roubles": 1200000}]}' >income.json
printf '{"income": 1, "cars": 2}' >more.json
answer() { # as the tax service
  tax answer "$second" --anchor "$root" --out tax "$@" --key tax-service.key --certificate tax-service.pem \
    --pin-fd 3 3<<<"$unit_passphrase"
}
ends 64 answer
ends 77 answer --data more.json
says "was not asked for"
run answer --data income.json
run answer --data income.json
says "which was signed before"
run request fetch "$second" --out fund
run karta request check "fund/$second.request.p7m" --receipt "fund/$second.receipt.p7m" --answer "fund/$second.answer.p7m" \
  --answer-receipt "fund/$second.answer-receipt.p7m" --anchor "$root"
says "TOTAL-PASSED"
ends 1 karta request check "fund/$id.request.p7m" --answer "fund/$second.answer.p7m" --anchor "$root"
says "fails    answer-belongs"
ends 2 karta request check "fund/$id.request.p7m"
run tax list
says "there is none"

step "what may not be is refused, with its reason"
ends 77 signed send --to registry "${ask[@]}" --ask identity --out fund
says "may not ask for"
! grep -q 'request\.p7m' "$work/out" || no "the path of a file that is not there was told"
: >empty.p7m
ends 65 signed send empty.p7m --to registry "${ask[@]}" --ask insurance --out fund
says '"empty.p7m" is empty'
ends 77 karta request list "$secure" --token-file fund.token
says "hint: name who certified the identity system's server: --roots FILE"
ends 77 signed send --to tax-service "${ask[@]}" --ask insurance --out fund
says "does not answer about"
ends 66 signed send --to tax-service --from pension-fund --basis "$basis" --purpose p --case c --snils "001-003-000 19" \
  --ask income --out fund
says "knows no such citizen"
ends 65 signed send --to registry --from pension-fund --basis "$basis" --purpose p --case c --snils "001-001-999 64" \
  --ask insurance --out fund
ends 77 karta request list "$secure" --roots "$root" --token-file passphrase
ends 66 karta request fetch "$secure" "$second" --roots "$root" --token-file stranger.token --out tax
ends 77 karta request send "$secure" "fund/$id.request.p7m" --roots "$root" --token-file stranger.token --out tax
says "not signed by"
chmod 644 fund.token
ends 77 request list
says "chmod 600"
chmod 600 fund.token
ends 64 karta request list "$secure" --roots "$root"

step "a certificate instead of a token"
run karta request list "$secure" --roots "$root" --tls-key pension-fund.key --tls-certificate pension-fund.pem --box sent \
  --pin-fd 3 3<<<"$unit_passphrase"
says "$second"

step "metrics count, the registry's log tells"
run curl -sf --noproxy '*' --cacert "$root" "$secure/metrics"
says 'karta_department_documents_total{document="request"} 2' 'karta_department_requests_open 0'
python3 - <<'PY'
import sqlite3
rows = sqlite3.connect("file:centre/registry.sqlite?mode=ro", uri=True).execute(
    "SELECT actor, what, legal_basis FROM access_log WHERE actor LIKE 'department:%' ORDER BY number").fetchall()
text = "\n".join("|".join(row) for row in rows)
for wanted in ("department:pension-fund|looked up: insurance,concessions|Sample Act 7, article 3",
               "department:tax-service|took the request: income|Sample Act 7, article 3",
               "department:tax-service|answered pension-fund: income|Sample Act 7, article 3",
               "department:pension-fund|took the answer: income|Sample Act 7, article 3"):
    assert wanted in text, (wanted, text)
PY

step "a revoked certificate, then a revoked department"
run karta ca revoke centre:issuing pension-fund.only.pem --reason keyCompromise
ends 77 signed send --to registry "${ask[@]}" --ask insurance --out fund
says "revoked"
run karta department revoke pension-fund --why "merged"
ends 77 request list
ends 77 karta department revoke pension-fund --why "again"
stop_server
