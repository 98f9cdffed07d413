# karta-sign and karta verify on PDF documents, beside pdfsig and qpdf; levels with an authority of openssl's.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work"
make_centre
run "$KARTA_SIM" new "$work/a.card"
start_cards run "$work/a.card"
issue "001-001-999 65" "Reader 1"
choose_pins "Reader 1"

step "a PDF is signed as PAdES by itself, anything else as CAdES"
cp "$tests/../docs/examples/application.pdf" contract.pdf
printf 'a note\n' >note.txt
run karta-sign contract.pdf note.txt --visible 1,300,40,250,84 --reason 'Согласен' --place 'Город' \
  --qr 'https://example.org/check' --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
[ -f contract-signed.pdf ] && [ -f note.txt.p7s ] || no "the signatures are not where they were promised"
cmp -n "$(stat -c %s contract.pdf)" contract.pdf contract-signed.pdf || no "the document's own octets were changed"
run qpdf --check contract-signed.pdf
run pdfsig -nocert contract-signed.pdf
says "Signature is Valid"
says "Total document signed"
run pdftotext contract-signed.pdf words
grep -q 'Документ подписан' words || no "the stamp does not say what it should"
ends 0 karta verify contract-signed.pdf note.txt --json
says '"changes_after": "none"'
says '"level": "PAdES-B-B"'
ends 73 karta-sign contract.pdf --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"

step "a second signature leaves the first intact"
run karta-sign contract-signed.pdf --key qualified --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin2"
run qpdf --check contract-signed-signed.pdf
ends 0 karta verify contract-signed-signed.pdf --json
says '"changes_after": "allowed"'
run pdfsig -nocert contract-signed-signed.pdf
[ "$(grep -c 'Signature is Valid' out)" -eq 2 ] || no "pdfsig does not find two valid signatures"

step "a change is noticed and named"
sed 's/2026\/27/2026\/28/' contract-signed.pdf >forged.pdf
ends 1 karta verify forged.pdf --json
says '"integrity": "broken"'
says "message-digest-mismatch"
cat contract-signed.pdf - >longer.pdf <<<"5 0 obj (smuggled) endobj"
ends 4 karta verify longer.pdf
ends 3 karta verify contract.pdf

step "encrypted documents, with their password and without"
run qpdf --encrypt user owner 256 -- contract.pdf secret.pdf
ends 77 karta-sign secret.pdf --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
run karta-sign secret.pdf --document-password-fd 4 --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1" 4<<<user
run qpdf --check --password=user secret-signed.pdf
ends 0 karta verify secret-signed.pdf --document-password-fd 4 4<<<user

step "levels need services, and say so"
ends 64 karta-sign contract.pdf --level B-T --output-dir . --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
says "time-stamp service"

step "an authority of openssl's stamps the signature"
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out tsa.crt -subj "/CN=Test TSA" \
  -days 30 -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
  -addext extendedKeyUsage=critical,timeStamping
printf '01\n' >tsa.serial
cat >tsa.conf <<CONF
[tsa]
default_tsa = one
[one]
serial = $work/tsa.serial
crypto_device = builtin
signer_cert = $work/tsa.crt
signer_key = $work/tsa.key
signer_digest = sha256
default_policy = 2.999.3
digests = sha256
ess_cert_id_alg = sha256
CONF
export KARTA_TIMESTAMP="cat >'$work/request' && openssl ts -reply -queryfile '$work/request' -config '$work/tsa.conf' -out '$work/answer' 2>/dev/null && cat '$work/answer'"
mkdir stamped
run karta-sign contract.pdf note.txt --output-dir stamped --reader "Reader 1" --pin-fd 3 3<<<"$holder_pin1"
ends 0 karta verify stamped/contract-signed.pdf --anchor "$KARTA_DIR/ca/root.crt.pem" --anchor tsa.crt \
  --intermediate "$KARTA_DIR/ca/issuing.crt.pem" --json
says '"level": "PAdES-B-T"'
ends 0 karta verify stamped/note.txt.p7s --content note.txt --anchor "$KARTA_DIR/ca/root.crt.pem" --anchor tsa.crt \
  --intermediate "$KARTA_DIR/ca/issuing.crt.pem" --json
says '"level": "CAdES-B-T"'
run pdfsig -nocert stamped/contract-signed.pdf
says "Signature is Valid"

step "what is signed is raised, and renewed; what was there stays as it was"
for ca in root issuing; do
  run karta ca crl "centre:$ca" --out "$ca.crl" --passphrase-fd 3 3<<<"$passphrase"
done
raise() { # KIND LEVEL FILE FOLDER
  mkdir "$4"
  run karta-sign "$3" "--$1" ${2:+--level "$2"} --output-dir "$4" --revocation root.crl --revocation issuing.crl \
    --issuer "$KARTA_DIR/ca/root.crt.pem" --issuer "$KARTA_DIR/ca/issuing.crt.pem" --issuer tsa.crt
  raised=$(echo "$4"/*.pdf)
  cmp -n "$(stat -c %s "$3")" "$3" "$raised" || no "the signed octets were changed"
  run qpdf --check "$raised"
  run pdfsig -nocert "$raised"
  says "Signature is Valid"
  ends 0 karta verify "$raised" --anchor "$KARTA_DIR/ca/root.crt.pem" --anchor tsa.crt \
    --intermediate "$KARTA_DIR/ca/issuing.crt.pem" --json
}
raise raise B-LTA contract-signed.pdf raised
says '"level": "PAdES-B-LTA"'
raise renew '' "$raised" renewed
says '"level": "PAdES-B-LTA"'
raise raise B-LT stamped/contract-signed.pdf long
says '"level": "PAdES-B-LT"'
