#!/bin/sh
# As haproxy:3.0-alpine starts: a master process with its worker, in the foreground.
set -eu
case ${1:-} in -*) set -- haproxy "$@" ;; esac
if [ "$1" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
