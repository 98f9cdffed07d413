# Complete log-ins with the card a second: SQLite, then a PostgreSQL of its own that forces every commit to the disk.
# shellcheck shell=bash disable=SC1091,SC2154
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../identity/postgres_lib.sh"
bench=$KARTA_BIN/../test/login_bench
"$bench" "$@"
folder=$(mktemp -d)
clean() {
  postgres_stop || true
  rm -rf "$folder"
}
trap clean EXIT
chmod 711 "$folder"
postgres_make "$folder/postgres"
postgres_start max_wal_size=1GB
"$bench" --database "$pg_url" "$@"
