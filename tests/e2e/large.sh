#!/usr/bin/env bash
# A file of ten gigabytes is signed and verified, detached and enveloping, in under 64 MB of memory: the programs are
# denied more, and what they used is printed.
#   KARTA_BIN=build/release/bin bash tests/e2e/large.sh [size, 10G unless told]
set -euo pipefail
export LC_ALL=C
: "${KARTA_BIN:?names the folder of the karta programs}"
karta=$KARTA_BIN/karta
size=${1:-${KARTA_LARGE:-10G}}
most_kilobytes=65536
work=$(mktemp -d "${TMPDIR:-/var/tmp}/karta-large-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
unset KARTA_DIR KARTA_TIMESTAMP
export KARTA_SERVICES=none # not those of whoever runs this
no() { printf 'FAULT: %s\n' "$*"; exit 1; }
quietly() { "$@" >out 2>&1 || { cat out; no "this failed: $*"; }; }

secret=a-passphrase
quietly "$karta" ca init root --subject "CN=Test Root,O=Test,C=XX" --key-type p256 --passphrase-fd 9 9<<<"$secret"
quietly "$karta" ca request --subject "CN=Sample" --key-out own.key --key-type p256 --out own.csr --passphrase-fd 9 9<<<"$secret"
quietly "$karta" ca issue root --request own.csr --profile everyday --subject "CN=Sample" --out own.pem --passphrase-fd 9 9<<<"$secret"
# Mostly holes, with something here and there.
truncate -s "$size" large
for place in 0 1000000 -1; do
  offset=$place
  [ "$place" != -1 ] || offset=$(($(stat -c %s large) - 16))
  head -c 16 /dev/urandom | dd of=large bs=1 seek="$offset" conv=notrunc status=none
done

# small NAME COMMAND...: the command succeeds, and never held more than the limit.
small() {
  local name=$1 began=$SECONDS used
  shift
  quietly prlimit --data=$((most_kilobytes * 1024)) env time -f 'peak %M' "$@"
  used=$(sed -n 's/^peak //p' out)
  printf '%-22s %6d kB of memory at the most, %4d s\n' "$name" "$used" $((SECONDS - began))
  [ "$used" -lt $most_kilobytes ] || no "$name took $used kB"
}
key=(--key own.key --certificate own.pem --pin-fd 9)
small "sign detached" "$KARTA_BIN/karta-sign" large "${key[@]}" 9<<<"$secret"
small "verify detached" "$karta" verify large.p7s --anchor root/certificate.pem --dir .
small "sign enveloping" "$KARTA_BIN/karta-sign" large --enveloping "${key[@]}" 9<<<"$secret"
small "verify enveloping" "$karta" verify large.p7m --anchor root/certificate.pem --dir .

# The same in BER, in pieces of four kilobytes, as streaming programs write it.
openssl pkey -in own.key -passin pass:$secret -out own.plain
openssl cms -sign -binary -nodetach -stream -in large -signer own.pem -inkey own.plain -outform DER -out streamed.p7m
small "verify openssl's BER" "$karta" verify streamed.p7m --anchor root/certificate.pem --dir .
rm streamed.p7m

# One bit in the middle of the content is noticed.
offset=$(($(stat -c %s large.p7m) / 2))
printf '\x01' | dd of=large.p7m bs=1 seek="$offset" conv=notrunc status=none
code=0
"$karta" verify large.p7m --anchor root/certificate.pem --dir . >out 2>&1 || code=$?
[ $code -eq 1 ] || { cat out; no "a changed bit was not noticed ($code)"; }
echo "all steps passed"
