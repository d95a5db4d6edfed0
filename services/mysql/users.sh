#!/bin/sh
# Makes the two users when the database is first made: RDS_USER reads, RDS_ADMIN_USER does all within RDS_DATABASE.
# The image runs it with the server on a socket only.
set -eu

quoted() {
    printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g")"
}

# in GRANT an underscore is a wildcard
granted=$(printf '%s' "$RDS_DATABASE" | sed 's/_/\\_/g')
MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --protocol=socket -uroot <<SQL
CREATE USER $(quoted "$RDS_USER")@'%' IDENTIFIED BY $(quoted "$RDS_PASSWORD");
GRANT SELECT ON \`$granted\`.* TO $(quoted "$RDS_USER")@'%';
CREATE USER $(quoted "$RDS_ADMIN_USER")@'%' IDENTIFIED BY $(quoted "$RDS_ADMIN_PASSWORD");
GRANT ALL PRIVILEGES ON \`$granted\`.* TO $(quoted "$RDS_ADMIN_USER")@'%';
SQL
