#!/usr/bin/env bash
# karta card trace on a small recording: words, JSON, picture, exit codes.
#
#   trace.sh KARTA RECORDING
set -euo pipefail
karta=$1 recording=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fault() { printf 'fault: %s\n' "$1" >&2; exit 1; }

text=$("$karta" card trace "$recording" --octets --activation --budget 70 --title Sample --svg "$work/s.svg" 2>"$work/said")
[[ $text == *"SELECT transit"*"9000"* ]] || fault "SELECT is not named"
[[ $text == *"VERIFY PIN 01"*"63C2"*"(8 octets left out)"* ]] || fault "VERIFY is not named, or what was left out not said"
[[ $text == *"over the budget of 70.0 ms"* ]] || fault "the budget is not held against the sum"
[[ $text == *"ec-sign 256: 30 ms a signature [measured]"* ]] || fault "an assumption is not printed"
[[ $text != *"rsa-generate"* ]] || fault "an assumption is printed that was not used"
[[ $(cat "$work/said") == *"does not say what the card did in every command"* ]] || fault "commands without counts pass in silence"
picture=$(cat "$work/s.svg")
[[ $picture == "<?xml"*"<svg "*"Sample"*"budget 70.0 ms"*"</svg>" ]] || fault "no picture"
if "$karta" card trace "$recording" --svg "$work/s.svg" >"$work/out" 2>&1; then fault "a file is overwritten"; fi

json=$("$karta" card trace "$recording" --json --chip old --channel t1-95 --from 1 --count 1 2>/dev/null)
[[ $json == *'"schema": "karta.card.trace/1"'*'"name": "SELECT transit"'* ]] || fault "the JSON is not as promised"
[[ $json != *VERIFY* ]] || fault "--count 1 shows two commands"

code=0; "$karta" card trace "$recording" --chip fastest >"$work/out" 2>&1 || code=$?
[[ $code == 64 ]] || fault "a chip nobody knows ends with $code"
code=0; "$karta" card trace "$0" >"$work/out" 2>&1 || code=$?
[[ $code == 65 ]] || fault "what is no recording ends with $code"
code=0; "$karta" card trace "$work/none" >"$work/out" 2>&1 || code=$?
[[ $code == 66 ]] || fault "a missing recording ends with $code"
printf 'karta card trace tells what a recording holds\n'
