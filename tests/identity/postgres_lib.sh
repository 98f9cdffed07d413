# shellcheck shell=bash disable=SC2034
# A PostgreSQL of the test's own: in a folder of its own, on a socket in it, trusting whoever can open that. Sourced.
#
# initdb refuses root, so that root runs it as the user the Debian package made.

postgres_bin() { ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1; }

as_postgres() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi
}

# postgres_make FOLDER: an empty cluster with the database "karta" of user "karta" to be made at the first start.
postgres_make() {
  pg_folder=$1
  pg_bin=$(postgres_bin)
  mkdir -p "$pg_folder"
  chmod 700 "$pg_folder"
  if [ "$(id -u)" = 0 ]; then chown postgres: "$pg_folder"; fi
  as_postgres "$pg_bin/initdb" --pgdata="$pg_folder/data" --username=karta --auth=trust --encoding=UTF8 --locale=C \
    --no-sync --no-instructions >"$pg_folder.log" 2>&1 || { cat "$pg_folder.log" >&2; return 1; }
  pg_url="postgresql://karta@/karta?host=$pg_folder"
}

# postgres_start [SETTING=VALUE ...]: returns when it answers.
postgres_start() {
  local settings=(-c "unix_socket_directories=$pg_folder" -c listen_addresses= -c max_connections=100) one
  for one in "$@"; do settings+=(-c "$one"); done
  # Its own session: a signal to the test's group is not the server's; and nothing of the test's own stays open in it.
  as_postgres setsid "$pg_bin/postgres" -D "$pg_folder/data" "${settings[@]}" >>"$pg_folder.log" 2>&1 3>&- 4>&- 5>&- \
    6>&- 7>&- 8>&- 9>&- &
  local deadline=$((SECONDS + 60))
  until as_postgres "$pg_bin/pg_isready" -q -h "$pg_folder" -d postgres -U karta; do
    [ $SECONDS -lt $deadline ] || { cat "$pg_folder.log" >&2; return 1; }
    sleep 0.05
  done
  "$pg_bin/psql" -q -h "$pg_folder" -U karta -d postgres -Atc "SELECT 1 FROM pg_database WHERE datname = 'karta'" >"$pg_folder.found"
  if [ ! -s "$pg_folder.found" ]; then "$pg_bin/createdb" -h "$pg_folder" -U karta karta; fi
}

# postgres_stop [smart|fast|immediate]
postgres_stop() {
  as_postgres "$pg_bin/pg_ctl" stop --pgdata="$pg_folder/data" --mode="${1:-immediate}" --silent >>"$pg_folder.log" 2>&1
}

postgres_sql() { "$pg_bin/psql" -q -h "$pg_folder" -U karta -d karta -At -v ON_ERROR_STOP=1 -c "$1"; }

# stalled_ms: for how long, since the machine started, somebody on it has waited for a processor or a disk (the kernel's
# pressure stall information, proc(5)); 0 where the kernel keeps none. What passes by this clock is not the program's.
stalled_ms() {
  { cat /proc/pressure/cpu /proc/pressure/io 2>/dev/null || true; } |
    awk '/^some/ { sub(/.*total=/, ""); all += $0 } END { printf "%d", all / 1000 }'
}
