# Each target is one command; what it does is in the folder that the command names. Variables come as `make emulate COUNT=10`:
# make puts them into the environment, and the shell (never make) reads them there, so that they may hold any character.
PY := .venv/bin/python
PINLINE := $(PY) -m pinline

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up down status logs doctor seed emulate wait dag batch stream stream-reset results sql notebooks rebuild accounting replay demo reset clean test test-compose test-unit test-faults chaos mutations bench lint format requirements

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup  ## set up, start, seed, post 2,000 events both ways, run the batch, show answers and accounting [MODE=airflow|batch]
	@$(PINLINE) demo $${MODE:+--mode "$$MODE"}

setup:  ## bring what is needed into .venv and, without Docker, .local (other targets do it themselves)
	@sh services/native/setup.sh

setup-dev:
	@sh services/native/setup.sh --dev

up: setup  ## start all services, in Docker if it answers; the first time, write .env and seed the database [RUNTIME=docker|native]
	@$(PINLINE) up

down: setup  ## stop all services; data stays
	@$(PINLINE) down

status: setup  ## show what runs and where [FORMAT=json]
	@$(PINLINE) status $${FORMAT:+--format "$$FORMAT"}

logs: setup  ## show a log [SERVICE=s3|kafka|mysql|spark|gateway|sink|kinesis|stream|workspace|airflow-api|...|build FOLLOW=1]
	@$(PINLINE) logs "$${SERVICE:?is missing, such as: make logs SERVICE=sink}" $${FOLLOW:+--follow}

doctor: setup  ## say where every setting points and whether it answers [FORMAT=json; AWS=1: what an account lacks]
	@$(PINLINE) doctor $${FORMAT:+--format "$$FORMAT"} $${AWS:+--aws}

seed: setup  ## fill the database anew [EVENTS=11154, or FROM=folder with your CSV files]
	@$(PY) -m seed_data $${EVENTS:+--events "$$EVENTS"} $${FROM:+--from "$$FROM"}

emulate: setup  ## post events as users would [MODE=batch|stream|both COUNT RATE ORDER=random|sequential CONCURRENCY BATCH_SIZE SEED START]
	@$(PY) emulator/user_posting_emulation.py $${MODE:+--mode "$$MODE"} $${COUNT:+--count "$$COUNT"} $${RATE:+--rate "$$RATE"} $${ORDER:+--order "$$ORDER"} $${CONCURRENCY:+--concurrency "$$CONCURRENCY"} $${BATCH_SIZE:+--batch-size "$$BATCH_SIZE"} $${SEED:+--seed "$$SEED"} $${START:+--start "$$START"}

wait: setup  ## wait until all that Kafka holds is in S3, and Kinesis's records in the stream's tables [TIMEOUT=seconds]
	@$(PINLINE) wait $${TIMEOUT:+--timeout "$$TIMEOUT"}

dag: setup  ## run the batch through Airflow and follow its tasks [FULL_REFRESH=1]
	@$(PINLINE) dag $${FULL_REFRESH:+--full-refresh}

batch: setup  ## run the batch by itself: S3 to silver to gold
	@$(PY) -m lakehouse.batch

stream: setup  ## run the streaming job here, without Docker: Kinesis to Delta (after `make up` the service `stream` does)
	@$(PY) -m lakehouse.stream

stream-reset: setup  ## forget how far the stream was read, and read again all that Kinesis holds; the tables stay
	@$(PINLINE) stream-reset

results: setup  ## show the nine answers [FORMAT=json]
	@$(PY) -m lakehouse.results $${FORMAT:+--format "$$FORMAT"}

sql: setup  ## ask Spark [Q="SELECT ..."]
	@$(PY) -m lakehouse.sql "$${Q:?is missing, such as: make sql Q='SHOW TABLES IN gold'}"

notebooks:  ## open JupyterLab on the notebooks, beside a running stack (JUPYTER_PORT)
	@sh services/native/setup.sh --notebooks
	@$(PY) -m workspace.notebook.lab

rebuild: setup  ## make silver and gold anew from S3
	@$(PY) -m lakehouse.rebuild

accounting: setup  ## check that everything accepted is where it has to be [FORMAT=json]
	@$(PINLINE) accounting $$([ "$${FORMAT:-}" != json ] || echo --json)

replay: setup  ## send what was set aside again, each once [KIND=dlq|quarantine|stream AGAIN=1]
	@$(PINLINE) replay $${KIND:+--kind "$$KIND"} $${AGAIN:+--again}

reset: setup  ## stop, and empty the data; downloads and .env stay [YES=1]
	@$(PINLINE) reset

clean:  ## stop, and remove data, images, downloads and .venv; .env stays [YES=1]
	@if [ -x $(PY) ]; then $(PINLINE) clean; else echo "nothing is set up here (no .venv); 'make setup' first if there is data to remove"; fi

test: setup-dev lint  ## static checks and every test, by three workers
	@$(PY) -m pytest -n 3 -m "not compose"

test-compose: setup-dev  ## the stack in containers, with an engine and stand-in images of its own where there are none [STANDINS=0: official images]
	@$(PY) -m pytest -m compose tests/compose

test-faults: setup-dev  ## things are killed, and accounting ends each test
	@$(PY) -m pytest -m faults

chaos: setup-dev  ## random kills under load on a stack of its own, then accounting [MINUTES=10 SEED=]
	@$(PY) -m tests.faults.chaos $${MINUTES:+--minutes "$$MINUTES"} $${SEED:+--seed "$$SEED"}

mutations: setup-dev  ## break each mechanism that faults test, and see its test fail [ONLY=text]
	@$(PY) -m tests.faults.mutations $${ONLY:+--only "$$ONLY"}

bench: setup-dev  ## measure every part beside its peers in the same run [ONLY=emulator,gateway,... SMALL=1 JSON=file]
	@$(PY) -m bench $${ONLY:+--only "$$ONLY"} $${SMALL:+--small} $${JSON:+--json "$$JSON"}

test-unit: setup-dev  ## tests that need no service
	@$(PY) -m pytest -m unit

lint: setup-dev  ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: setup-dev  ## format the code
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

requirements: setup  ## pin the packages of every part anew [UPGRADE=1 takes the newest]
	@PATH="$$PATH:$$PWD/.local/uv/bin" sh services/native/pin.sh
