#!/bin/bash
# Starts Postgres as its image does, as far as deploy/compose asks for it: passwords in files, scripts for a new database, a user of its own.
set -eu
socket=/var/run/postgresql
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
  POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
  export POSTGRES_PASSWORD
  unset POSTGRES_PASSWORD_FILE
fi
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres: /var/lib/postgresql "$socket"
  chmod 700 "$PGDATA"
  exec gosu postgres "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  initdb -D "$PGDATA" --username="$user" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:?}") --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -c unix_socket_directories=$socket" start >/dev/null
  [ "$database" = postgres ] || psql -h "$socket" -U "$user" -d postgres -c "CREATE DATABASE \"$database\""
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [ -e "$file" ] || continue
    psql -h "$socket" -v ON_ERROR_STOP=1 --no-password --no-psqlrc -U "$user" -d "$database" -f "$file"
  done
  pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  printf "listen_addresses='*'\nunix_socket_directories='%s'\n" "$socket" >>"$PGDATA/postgresql.conf"
fi
unset POSTGRES_PASSWORD
exec "$@"
