"""`python -m gateway [--host H]`: serve API_INVOKE_URL's port and REST_PROXY_PORT."""

import sys

from gateway.server import run
from pinline import listener

if __name__ == "__main__":
    sys.exit(listener.main("gateway", "API Gateway and Kafka REST proxy.", run))
