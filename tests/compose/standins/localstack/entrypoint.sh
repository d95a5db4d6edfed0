#!/usr/bin/env bash
# As localstack/localstack starts: the scripts of boot.d, then LocalStack under its supervisor, which hands signals on.
set -eu
mkdir -p /var/lib/localstack/logs
. /opt/code/localstack/.venv/bin/activate
if [ -d /etc/localstack/init/boot.d ]; then
    python -m localstack.runtime.init BOOT
fi
exec localstack-supervisor
