# Java's SunPKCS11 provider: keytool lists, a program lists and signs with each everyday key, openssl verifies.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
step "a card: $1"
card_in_hand "$1"
cat >"$work/java.cfg" <<CONFIG
name = card
library = $module
slot = $(slot_id "$everyday")
CONFIG

step "keytool lists"
run timeout 120 keytool -list -keystore NONE -storetype PKCS11 -addprovider SunPKCS11 -providerArg "$work/java.cfg" -storepass "$pin"
says "AUT" "SIG" "ENC" "PrivateKeyEntry"

step "a program lists, signs many times, and verifies"
echo "a text" >"$work/text"
run timeout 120 java -Xshare:auto -XX:TieredStopAtLevel=1 "$(dirname "${BASH_SOURCE[0]}")/Pkcs11Java.java" "$work/java.cfg" "$pin" "$work/text" "$work"
says "AUT signs" "SIG signs"
for role in AUT SIG; do
  run openssl dgst -sha256 -verify "$work/${id_of[$role]}.pem" -signature "$work/$role.signature" "$work/text"
  says "Verified OK"
done
echo "passed: $kind"
