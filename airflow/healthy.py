"""`python healthy.py PART`: whether Airflow's API says that a part of it lives (metadatabase, scheduler, ...).

Each part's own `airflow jobs check` imports all of Airflow, some seconds of CPU at each look.
"""

import json
import os
import sys
from urllib.parse import urlsplit
from urllib.request import urlopen

execution = urlsplit(os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
with urlopen(f"http://{execution.netloc}/api/v2/monitor/health", timeout=4) as answer:
    sys.exit(json.load(answer)[sys.argv[1]]["status"] != "healthy")
