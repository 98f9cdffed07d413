#!/usr/bin/env bash
# with_postgres.sh PROGRAM [ARGUMENT...]: runs it with KARTA_TEST_POSTGRES naming a PostgreSQL that lives as long as it.
# Nothing it holds outlives it, so nothing is forced to the disk.
# shellcheck disable=SC1091,SC2154
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/postgres_lib.sh"

folder=$(mktemp -d)
clean() { postgres_stop || true; rm -rf "$folder"; }
trap clean EXIT
chmod 711 "$folder"
postgres_make "$folder/postgres"
postgres_start fsync=off synchronous_commit=off full_page_writes=off max_connections=200 max_wal_size=256MB
KARTA_TEST_POSTGRES=$pg_url "$@"
