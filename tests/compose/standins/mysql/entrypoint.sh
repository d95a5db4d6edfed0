#!/usr/bin/env bash
# As mysql:8.4 starts: the first time, the server makes its data folder and runs on its socket alone for root's password,
# MYSQL_DATABASE and the files of /docker-entrypoint-initdb.d; then, and every other time, it is started for good.
set -euo pipefail
shopt -s nullglob

case ${1:-} in -*) set -- mysqld "$@" ;; esac

as_root() {
    MYSQL_PWD=${password-$MYSQL_ROOT_PASSWORD} mysql --no-defaults --protocol=socket \
        --socket=/var/run/mysqld/mysqld.sock -uroot "$@"
}

quoted() {
    printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g")"
}

set_up() {
    : "${MYSQL_ROOT_PASSWORD:?is not set, and the database is uninitialised}"
    "$@" --initialize-insecure
    "$@" --skip-networking &
    local server=$! password=
    until as_root -e 'SELECT 1' >/dev/null 2>&1; do
        kill -0 "$server"  # ends the start when the server has ended
        sleep 0.1
    done
    {
        [ "${MYSQL_ROOT_HOST:-%}" = localhost ] || echo \
            "CREATE USER 'root'@$(quoted "${MYSQL_ROOT_HOST:-%}") IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");" \
            "GRANT ALL ON *.* TO 'root'@$(quoted "${MYSQL_ROOT_HOST:-%}") WITH GRANT OPTION;"
        [ -z "${MYSQL_DATABASE:-}" ] || echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"
        echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");"
    } | as_root mysql
    unset password
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        echo "running $file"
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) as_root ${MYSQL_DATABASE:+"$MYSQL_DATABASE"} <"$file" ;;
            *) echo "ignoring $file" ;;
        esac
    done
    as_root -e SHUTDOWN
    wait "$server"
}

if [ "$1" = mysqld ] && [ ! -d /var/lib/mysql/mysql ]; then
    set_up "$@"
fi
exec "$@"
