#!/usr/bin/env bash
# The table of behaviours is honest: a number without a test, with a failed one, or unknown makes it fail.
set -euo pipefail
report=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/report
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fault() { printf 'fault: %s\n' "$1" >&2; exit 1; }

all() { for number in $(seq 1 54); do printf '<testcase name="A.Behaviour%02d_X" classname="A" time="0" status="run"/>\n' "$number"; done; }
all >"$work/good.xml"
printf '<testcase name="A.Behaviour48_49_Y" status="run">\n<system-out>COMMIT   50 cut points\nin all   50 cut points\n' >>"$work/good.xml"
table=$("$report" "$work/good.xml" "$work/names") || fault "a good run fails"
[[ $table == *"54 of 54 behaviours hold; the power was cut at 50 points"* ]] || fault "the sum is wrong: ${table##*$'\n'}"
[[ $table == *"49  passed    2  "* ]] || fault "a test of two numbers counts for both"
grep -c 'Behaviour48_49_Y' "$work/names" >"$work/count"
[[ $(cat "$work/count") == 2 ]] || fault "names are missing"

all | sed '/Behaviour35/d' >"$work/missing.xml"
if table=$("$report" "$work/missing.xml"); then fault "a missing number passes"; fi
[[ $table == *"35  NO TEST   0  "* ]] || fault "the missing number is not named"
all | sed '/Behaviour36/s/"run"/"fail"/' >"$work/failed.xml"
if table=$("$report" "$work/failed.xml"); then fault "a failed test passes"; fi
[[ $table == *"36  FAILED"* ]] || fault "the failed number is not named"
all | sed '/Behaviour37/s/"run"/"notrun"/' >"$work/skipped.xml"
if "$report" "$work/skipped.xml" >"$work/out"; then fault "a test that did not run passes"; fi
{ all; printf '<testcase name="A.Behaviour55_X" status="run"/>\n'; } >"$work/unknown.xml"
if "$report" "$work/unknown.xml" >"$work/out"; then fault "an unknown number passes"; fi
if "$report" "$work/none.xml" 2>"$work/out"; then fault "no results pass"; fi
printf 'the table of behaviours is honest\n'
