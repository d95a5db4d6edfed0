#!/usr/bin/env bash
# As postgres:17 starts: the first time, the cluster is made for POSTGRES_USER and POSTGRES_PASSWORD, and the server runs on
# its socket alone for POSTGRES_DB and the files of /docker-entrypoint-initdb.d; then it is started for good.
set -euo pipefail
shopt -s nullglob

case ${1:-} in -*) set -- postgres "$@" ;; esac

set_up() {
    : "${POSTGRES_PASSWORD:?is not set, and the database is uninitialised}"
    local user=${POSTGRES_USER:-postgres} database file
    database=${POSTGRES_DB:-$user}
    initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD")
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=" -w start
    local psql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$user")
    if [ "$database" != postgres ]; then
        "${psql[@]}" --dbname postgres --set db="$database" <<<'CREATE DATABASE :"db";'
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        echo "running $file"
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) "${psql[@]}" --dbname "$database" -f "$file" ;;
            *) echo "ignoring $file" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
}

if [ "$1" = postgres ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA" || true
    [ -s "$PGDATA/PG_VERSION" ] || set_up
fi
exec "$@"
