#!/usr/bin/env bash
# Runs a command with INDEXER_TEST_DATABASE__URL naming a PostgreSQL server started for it alone, from the programs
# in the folder given first, in the folder given second. The server never runs as root and listens on loopback only.
set -euo pipefail
programs=$1 folder=$2
shift 2

mkdir -p "$folder"
as_owner=()
if [ "$(id -u)" = 0 ]; then
  # PostgreSQL refuses to run as root: its packages bring an account of their own.
  chown postgres "$folder"
  chmod 755 "$(dirname "$folder")"
  as_owner=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_owner[@]}" "$programs/initdb" -D "$folder/data" -U indexer -A trust -E UTF8 --locale=C >"$folder/initdb.log"
"${as_owner[@]}" "$programs/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
  -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c fsync=off -c max_connections=200" start
trap '"${as_owner[@]}" "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null' EXIT
INDEXER_TEST_DATABASE__URL="postgresql://indexer@127.0.0.1:$port/postgres" "$@"
