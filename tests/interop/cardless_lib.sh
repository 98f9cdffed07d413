# What the interop scripts without cards share: a folder to work in, steps by name, commands that must end as they should.
# A script that sources this names the folder of the karta programs: KARTA_BIN=build/release/bin bash tests/interop/ca.sh
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export LC_ALL=C
: "${KARTA_BIN:?names the folder of the karta programs}"
karta=$KARTA_BIN/karta
unset KARTA_DIR KARTA_TIMESTAMP
export KARTA_SERVICES=none # not those of whoever runs this
work=$(mktemp -d)
current=start
finish() {
  local code=$?
  [ $code -eq 0 ] || printf 'FAILED at: %s\n' "$current"
  rm -rf "$work"
}
trap finish EXIT
cd "$work"

step() { current=$*; printf -- '-- %s\n' "$*"; }
no() { printf 'FAULT: %s\n' "$*"; exit 1; }
# Runs a command that must end with this code; its words are in out.
ends() {
  local want=$1 code=0
  shift
  "$@" >out 2>&1 || code=$?
  [ "$code" -eq "$want" ] || { cat out; no "ended with $code, not $want: $*"; }
}
run() { ends 0 "$@"; }
says() { case "$(cat out)" in *"$1"*) ;; *) cat out; no "does not say \"$1\"" ;; esac; }
# karta with secrets, one a line, on a descriptor.
with() {
  local secrets=$1
  shift
  "$karta" "$@" --passphrase-fd 9 9<<<"$secrets"
}
