#!/bin/sh
# Pins every extra of pyproject.toml with hashes. `dev` comes first: it holds all the others, which take its versions.
set -eu
cd "$(dirname "$0")/../.."
pin() {
    extra=$1
    shift
    uv pip compile pyproject.toml --extra "$extra" --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
        --no-annotate --custom-compile-command "make requirements" --quiet -o "requirements/$extra.txt" "$@"
}
pin dev ${UPGRADE:+--upgrade}
for extra in emulator gateway host kinesis ministack native notebooks seed sink spark workspace; do
    pin "$extra" ${UPGRADE:+--upgrade} -c requirements/dev.txt
done
pin java ${UPGRADE:+--upgrade} -c requirements/dev.txt
pin airflow ${UPGRADE:+--upgrade}
