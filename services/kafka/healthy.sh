#!/usr/bin/env bash
# Whether a broker on this machine's port $1 speaks Kafka: asks ApiVersions, and looks for its own correlation id in the answer.
# Kafka's own tools would start a JVM for it, some seconds of CPU at each look.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$1"
# size 10, ApiVersions (18) version 0, correlation id 7, no client id
printf '\0\0\0\012\0\022\0\0\0\0\0\007\377\377' >&3
answer=$(timeout 3 head -c 8 <&3 | od -An -tx1 | tr -d ' \n')
[ "${answer:8}" = 00000007 ]
