#!/usr/bin/env bash
# Log-ins through two karta-identity on one PostgreSQL, while one of them is killed and the database restarted.
# The script of Node.js lives in namespaces of its own and asks for the database by name here: "stop", "start".
# shellcheck disable=SC1091,SC2154
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/postgres_lib.sh"

folder=$(mktemp -d)
chmod 711 "$folder"
log_ins=
clean() {
  [ -z "$log_ins" ] || kill -KILL "$log_ins" 2>/dev/null || true
  postgres_stop || true
  rm -rf "$folder"
}
trap clean EXIT
postgres_make "$folder/postgres"
postgres_start
mkfifo "$folder/asked" "$folder/told"
KARTA_TEST_POSTGRES=$pg_url KARTA_POSTGRES_ASKED=$folder/asked KARTA_POSTGRES_TOLD=$folder/told \
  "$here/../openid/run" ../identity/postgres_log_ins.mjs &
log_ins=$!
# Held open at both ends here, so that neither side ever waits for the other to come.
exec 6<>"$folder/asked" 7<>"$folder/told"
while kill -0 "$log_ins" 2>/dev/null; do
  read -r -t 0.5 word <&6 || continue
  case $word in
    stop) postgres_stop immediate ;;
    start) postgres_start ;;
  esac
  printf 'done\n' >&7
done
wait "$log_ins"
log_ins=
