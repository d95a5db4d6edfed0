#!/bin/sh
# In the building of an image: makes /opt/venv with the packages of the named files, each pinned with its hash.
# The build secret `ca_bundle` holds certificates to trust besides the usual ones; without it nothing changes.
set -eu
if [ -s /run/secrets/ca_bundle ]; then
    cat /etc/ssl/certs/ca-certificates.crt /run/secrets/ca_bundle > /tmp/ca.pem
    export PIP_CERT=/tmp/ca.pem
fi
python -m venv --without-pip /opt/venv
for file in "$@"; do
    python -m pip --python /opt/venv/bin/python install --quiet --disable-pip-version-check --root-user-action ignore \
        --require-hashes -r "$file"
done
# packages' own tests, 60 MB of pandas, numpy and pyarrow
find /opt/venv -type d -name tests -prune -exec rm -r {} +
