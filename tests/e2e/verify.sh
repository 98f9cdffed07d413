# karta verify on what OpenSSL makes, and on files with one octet changed.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work"
unset KARTA_DIR

step "a foreign root, issuing CA and signers"
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.crt -subj "/CN=Foreign Root" -days 30
for kind in "ec:-newkey ec -pkeyopt ec_paramgen_curve:P-256" "p384:-newkey ec -pkeyopt ec_paramgen_curve:P-384" "rsa:-newkey rsa:2048"; do
  name=${kind%%:*}
  # shellcheck disable=SC2086
  run openssl req ${kind#*:} -nodes -keyout $name.key -out $name.csr -subj "/CN=Foreign Signer $name"
  printf 'keyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=emailProtection\n' >$name.ext
  run openssl x509 -req -in $name.csr -CA root.crt -CAkey root.key -CAcreateserial -days 20 -extfile $name.ext -out $name.crt
done
head -c 20000 /dev/urandom | od -An -tx1 >document

step "what openssl cms -sign makes is accepted"
accept() { # name, then openssl's words
  local name=$1
  shift
  run openssl cms -sign -binary -in document -outform DER -out "$name.p7s" "$@"
  ends 0 karta verify "$name.p7s" --content document --anchor root.crt --json
  says '"verdict": "TOTAL-PASSED"'
}
for name in ec p384 rsa; do
  accept detached-$name -signer $name.crt -inkey $name.key
  accept cades-$name -cades -signer $name.crt -inkey $name.key
  accept noattr-$name -noattr -signer $name.crt -inkey $name.key
done
accept pss -signer rsa.crt -inkey rsa.key -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:digest
accept sha512 -md sha512 -signer ec.crt -inkey ec.key
run openssl cms -sign -binary -nodetach -in document -outform DER -out enveloping.p7m -signer ec.crt -inkey ec.key
ends 0 karta verify enveloping.p7m --anchor root.crt --extract content
cmp content document || no "the content came out changed"
run openssl cms -sign -binary -nodetach -stream -in document -outform DER -out streamed.p7m -signer ec.crt -inkey ec.key
ends 0 karta verify streamed.p7m --anchor root.crt
run openssl cms -sign -binary -in document -outform PEM -out pem.p7s -signer ec.crt -inkey ec.key
ends 0 karta verify pem.p7s --content document --anchor root.crt

step "the answers differ: no trust data, not trusted, nothing signed, unreadable"
ends 2 karta verify detached-ec.p7s --content document
says "no-trust-data"
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.crt -subj "/CN=Other Root" -days 30
ends 2 karta verify detached-ec.p7s --content document --anchor other.crt
says "not-trusted"
ends 3 karta verify document --anchor root.crt
ends 4 karta verify nowhere.p7s --anchor root.crt
head -c 300 detached-ec.p7s >cut.p7s
ends 4 karta verify cut.p7s --content document --anchor root.crt
ends 2 karta verify detached-ec.p7s --content document --anchor root.crt --at 2050-01-01
ends 1 karta verify enveloping.p7m --content document --anchor root.crt

step "a signature beside its document is found from either file"
cp detached-ec.p7s document.p7s
ends 0 karta verify document --anchor root.crt
ends 0 karta verify document.p7s --anchor root.crt
rm document.p7s

step "many files at a time: reported in their order, the worst decides"
for ((n = 0; n < 24; n++)); do cp detached-ec.p7s "many$n.p7s" && cp document "many$n"; done
printf 'x' >>many7
for jobs in 1 4; do
  ends 1 karta verify many{0..23}.p7s --anchor root.crt --jobs $jobs
  grep '^many' "$work/out" >order
  for ((n = 0; n < 24; n++)); do echo "many$n.p7s: TOTAL-$([ $n -eq 7 ] && echo FAILED || echo PASSED)"; done >wanted
  diff wanted order || no "the order of the reports is not that of the files"
done
ends 4 karta verify many0.p7s nowhere document --anchor root.crt
rm many*

step "karta.verify/1 has every key it promises, in words it promises"
ends 1 karta verify enveloping.p7m --content document --anchor root.crt --json
says '"schema": "karta.verify/1"' '"integrity": ' '"verdict": "TOTAL-FAILED"' '"sub_indication": "FORMAT_FAILURE"' '"changes_after": "none"' \
  '"claimed_time": "' '"best_time": null' '"level": "' '"signer": "' '"code": "content-twice"' '"offset": '
ends 2 karta verify detached-ec.p7s --anchor root.crt --json
says '"integrity": null' '"sub_indication": "SIGNED_DATA_NOT_FOUND"'

step "the XML report of ETSI TS 119 102-2"
schema=$tests/etsi/validation_report.rng
xml() { # code, then karta's words
  local code=0 wanted=$1
  shift
  karta "$@" --etsi >report.xml 2>"$work/out" || code=$?
  [ $code -eq "$wanted" ] || { cat "$work/out"; no "this was to end with $wanted, and ended with $code: $*"; }
  run xmllint --noout --nonet --relaxng "$schema" report.xml
  cp report.xml "$work/out"
}
xml 0 verify cades-rsa.p7s --content document --anchor root.crt
says "urn:etsi:019102:mainindication:total-passed"
xml 4 verify cades-rsa.p7s enveloping.p7m document cut.p7s --anchor root.crt
says "SIGNED_DATA_NOT_FOUND" "FORMAT_FAILURE" "no-signature"
ends 64 karta verify cades-rsa.p7s --etsi --json

step "a trust list says whom to trust, and grows stale"
run openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout lists.key -out lists.csr -subj "/CN=Lists"
printf 'keyUsage=critical,digitalSignature\n' >lists.ext
run openssl x509 -req -in lists.csr -CA root.crt -CAkey root.key -CAcreateserial -days 20 -extfile lists.ext -out lists.crt
run openssl pkcs8 -topk8 -in lists.key -v2 aes-256-cbc -v2prf hmacWithSHA256 -passout pass:passphrase -out lists.enc
run karta ca trust-list qualified-ca=root.crt --sequence 1 --days 1 --key lists.enc --certificate lists.crt --out list.p7m \
  --passphrase-fd 3 3<<<passphrase
ends 0 karta verify detached-ec.p7s --content document --trust-list list.p7m --anchor root.crt
ends 2 karta verify detached-ec.p7s --content document --trust-list list.p7m --anchor root.crt --at "$(date -u -d '+25 hours' +%FT%TZ)"
says "stale-trust-data"
printf 'schema = "karta.validation-policy/1"\nstale_trust = "accept"\n' >stale.toml
ends 0 karta verify detached-ec.p7s --content document --trust-list list.p7m --anchor root.crt --at "$(date -u -d '+25 hours' +%FT%TZ)" \
  --policy stale.toml
ends 77 karta verify detached-ec.p7s --content document --trust-list list.p7m --anchor other.crt
run karta ca trust-list time-stamp=root.crt --sequence 2 --key lists.enc --certificate lists.crt --out stamps.p7m --passphrase-fd 3 3<<<passphrase
ends 2 karta verify detached-ec.p7s --content document --trust-list stamps.p7m --anchor root.crt
printf 'schema = "karta.validation-policy/1"\n\nsunset.sha3 = "2030-01-01"\n' >bad.toml
ends 78 karta verify detached-ec.p7s --content document --anchor root.crt --policy bad.toml
says "bad.toml:3:" "sha3"

step "one octet changed anywhere in the content, or in the signature, is noticed and named"
flip() { # file, offset, to
  cp "$1" "$3"
  local octet
  octet=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  # shellcheck disable=SC2059
  printf "\\x$(printf %x $((octet ^ 1)))" | dd of="$3" bs=1 seek="$2" conv=notrunc status=none
}
size=$(stat -c %s document)
for offset in 0 1 $((size / 3)) $((size - 1)); do
  flip document $offset changed
  ends 1 karta verify cades-ec.p7s --content changed --anchor root.crt
  says "message-digest-mismatch"
done
size=$(stat -c %s cades-ec.p7s)
passed=0
for ((offset = 0; offset < size; offset += 23)); do
  flip cades-ec.p7s $offset changed.p7s
  code=0
  karta verify changed.p7s --content document --anchor root.crt >out 2>&1 || code=$?
  [ $code -le 4 ] || { cat out; no "octet $offset changed: karta verify ended with $code"; }
  if [ $code -eq 0 ]; then passed=$((passed + 1)); grep -q "warning\|note" out || no "octet $offset changed: passed without a word"; fi
done
[ $passed -eq 0 ] || no "$passed changed octets of a CAdES signature went unnoticed"
