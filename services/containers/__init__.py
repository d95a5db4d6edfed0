"""The stack in containers: what compose.yaml describes, started, watched and explained by `docker compose`.

In: settings. Out: the services of compose.yaml (and of the overrides that COMPOSE_FILE names) on 127.0.0.1, on the
ports that the settings name. Data is in the project's volumes; several stacks of different COMPOSE_PROJECT_NAME can run
side by side.

`compose.py` and `engine.py` ask Docker's own command line, whose answers become values there; `stack.py` starts and
stops; `causes.py` explains what failed; `forgotten.py` makes up for what LocalStack doesn't keep.
"""
