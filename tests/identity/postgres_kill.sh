#!/usr/bin/env bash
# Two programs on one PostgreSQL, under load: one is killed, then the database is, and comes back. What was acknowledged
# is there, no code was used twice, and whoever is left goes on by itself as soon as the database answers.
# shellcheck disable=SC1091,SC2154
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/postgres_lib.sh"
: "${POSTGRES_LOAD:?names the program that makes the load}"
: "${KARTA_BIN:?names the folder with karta}"

work=$(mktemp -d)
chmod 711 "$work"
programs=()
clean() {
  for program in "${programs[@]}"; do kill -KILL "$program" 2>/dev/null || true; done
  postgres_stop || true
  rm -rf "$work"
}
trap clean EXIT
no() { printf 'FAIL: %s\n' "$1" >&2; exit 1; }
lines() { awk -v word="$1" '$1 == word { n++ } END { print n + 0 }' "$work/$2.said"; }
# await_lines WORD NAME MORE_THAN: until the program has said it that often.
await_lines() {
  local deadline=$((SECONDS + 60))
  until [ "$(lines "$1" "$2")" -gt "$3" ]; do
    [ $SECONDS -lt $deadline ] || no "$2 does not go on: $(tail -n 3 "$work/$2.said")"
    read -r -t 0.05 <> <(:) || true
  done
}

postgres_make "$work/postgres"
postgres_start
"$KARTA_BIN/karta" init "$work/centre" --name "Test Centre" --country XX --database "$pg_url" --passphrase-fd 3 \
  3<<<'only for this test' >"$work/init.said" 2>&1
postgres_sql "CREATE TABLE test_codes (code BIGINT PRIMARY KEY, used_by TEXT NOT NULL)"

for name in one two; do
  mkfifo "$work/$name.hold"
  : >"$work/$name.said"
  "$POSTGRES_LOAD" "$pg_url" "$name" 4 <"$work/$name.hold" >"$work/$name.said" &
  programs+=($!)
done
exec 8>"$work/one.hold" 9>"$work/two.hold"
await_lines took one 100
await_lines took two 100

kill -KILL "${programs[0]}"
wait "${programs[0]}" 2>/dev/null || true
before=$(lines took two)
await_lines took two $((before + 50))

postgres_stop immediate
# Whoever asks meanwhile is told so, at once.
await_lines error two 5
postgres_start
up=$(date +%s%N) up_stalled=$(stalled_ms)
before=$(lines took two)
await_lines took two "$before"
down_ms=$((($(date +%s%N) - up) / 1000000))
stalled=$(($(stalled_ms) - up_stalled))
await_lines took two $((before + 50))
exec 8>&- 9>&-
wait "${programs[1]}" || no "the program that was left did not end well"
programs=()

[ $((down_ms - stalled)) -lt 2000 ] || no "after the database was back it took $down_ms ms, and this machine was busy for $stalled ms of them"
[ "$(lines slow two)" = 0 ] || no "a call took longer than it may: $(grep '^slow' "$work/two.said" | tail -n 1)"
awk '$1 == "error" && $2 != "io" && $2 != "busy"' "$work/two.said" >"$work/odd"
[ ! -s "$work/odd" ] || no "an error that is not clear: $(tail -n 1 "$work/odd")"
# Only what was under way when the database was stopped may be unknown.
[ "$(lines unknown two)" -le 8 ] || no "$(lines unknown two) outcomes are unknown"

postgres_sql "SELECT code || ' ' || used_by FROM test_codes" | LC_ALL=C sort >"$work/there"
for name in one two; do awk -v name="$name" '$1 == "took" { print $2, name }' "$work/$name.said"; done | LC_ALL=C sort >"$work/told"
[ -z "$(cut -d ' ' -f 1 "$work/told" | uniq -d)" ] || no "a code was used twice"
LC_ALL=C comm -23 "$work/told" "$work/there" >"$work/lost"
[ ! -s "$work/lost" ] || no "$(wc -l <"$work/lost") acknowledged codes are lost"
postgres_sql "CREATE INDEX ON access_log (case_id)"
# Each code that is taken was written into the access log once, in the same transaction.
[ "$(postgres_sql "SELECT count(*) FROM test_codes AS c WHERE 1 <> (SELECT count(*) FROM
  access_log AS l WHERE l.case_id = c.code::text AND l.actor = c.used_by)")" = 0 ] || no "a code without its log"
[ "$(postgres_sql "SELECT count(*) FROM access_log")" = "$(wc -l <"$work/there")" ] || no "a log without its code"
printf 'ok: %s codes acknowledged, %s there; %s unknown, %s errors while the database was away; on again after %s ms\n' \
  "$(wc -l <"$work/told")" "$(wc -l <"$work/there")" "$(lines unknown two)" "$(lines error two)" "$down_ms"
