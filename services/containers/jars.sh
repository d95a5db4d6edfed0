#!/bin/sh
# In the building of the image: brings the jars that Spark needs beyond PySpark's to /opt/pinline/jars/spark, as
# `make setup` does. Java has a list of certificates of its own: those of the build secret `ca_bundle` go into another.
set -eu
if [ -s /run/secrets/ca_bundle ]; then
    cat /etc/ssl/certs/ca-certificates.crt /run/secrets/ca_bundle > /tmp/ca.pem
    openssl pkcs12 -export -nokeys -jdktrust anyExtendedKeyUsage -in /tmp/ca.pem -out /tmp/ca.p12 -passout pass:changeit
    export JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=/tmp/ca.p12 -Djavax.net.ssl.trustStorePassword=changeit"
fi
ln -s /opt/venv .venv
.venv/bin/python services/native/setup.py --jars spark --local /opt/pinline
