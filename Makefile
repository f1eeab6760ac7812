# Each target installs what it needs into .venv. Requires make, and Python 3.11, 3.12, or 3.13.

AIRFLOW_VERSION ?= 3.3.2
OLDER_AIRFLOWS := 3.1 3.2
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-airflow-$(AIRFLOW_VERSION)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest
HAS_POSTGRESQL := ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null
PARALLEL := --numprocesses $(WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help demo test test-all fast-tests slow-tests test-matrix test-lineage test-browser test-scale test-fleet \
	bench fault-table docs ui lint format constraints build clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(READY)  ## Run example DAGs in Airflow against the offline service (KEEP=1 keeps Airflow running)
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

test: $(READY)  ## Run the linters and the fast tests (under 4 minutes on 2 cores)
	@$(MAKE) --no-print-directory --jobs 2 lint fast-tests

test-all: test  ## Run all tests except browser, scale, fleet, and matrix (under 15 minutes)
	@$(MAKE) --no-print-directory slow-tests

fast-tests: $(READY)
	$(PYTEST) $(PARALLEL) $(TESTS)

slow-tests: $(READY)  ## Run only the tests that `make test-all` adds to `make test`
	$(INSTALL) --group all-tests
	$(PYTEST) $(PARALLEL) -m "(full or standalone) and not browser and not scale and not fleet" $(TESTS)

test-matrix: $(READY)  ## Run the tests on several versions of Airflow and Python (MATRIX="3.1:3.11 3.3:3.13", MATRIX=all, TESTS=...)
	@$(BIN)/python -m tests.matrix $(MATRIX) -- $(PARALLEL) -m "not browser and not scale and not fleet" $(TESTS)

test-lineage: $(READY)  ## Test the lineage that Airflow's OpenLineage provider receives
	$(INSTALL) --group lineage
	$(PYTEST) -m "" tests/observability/test_lineage.py

test-browser: $(READY)  ## Test the pages and review forms in a browser (SCREENSHOTS=DIR keeps screenshots)
	@test -x /usr/bin/chromium -a -x /usr/bin/chromedriver || { echo "A browser and its driver are required:" \
		"apt-get update && apt-get install chromium chromium-driver" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "npm is required, for the accessibility checker" >&2; exit 1; }
	$(INSTALL) --group browser
	npm ci --silent --prefix airflow_provider_agentruns/plugins/ui
	$(if $(SCREENSHOTS),AGENTRUNS_SCREENSHOTS="$(SCREENSHOTS)") $(PYTEST) -m browser tests/browser

test-scale: $(READY)  ## Wait for many runs in a complete Airflow on PostgreSQL (SCALE=200 sets how many)
	@$(HAS_POSTGRESQL) || { echo "A PostgreSQL server is required: apt-get update && apt-get install postgresql" >&2; exit 1; }
	$(if $(SCALE),SCALE="$(SCALE)") $(PYTEST) --capture no -m scale

test-fleet: $(READY)  ## Share one account among many machines, and kill workers of CeleryExecutor (about 15 minutes)
	@command -v redis-server >/dev/null && { $(HAS_POSTGRESQL); } || { echo "Servers of Redis and PostgreSQL are required:" \
		"apt-get update && apt-get install redis-server postgresql" >&2; exit 1; }
	$(INSTALL) --group fleet
	$(PYTEST) --capture no -m fleet tests/fleet

bench: $(READY)  ## Compare the cost of waiting with other providers (about 10 minutes; BENCH=full for all rows)
	$(INSTALL) --group bench
	$(BIN)/python -m tests.benchmarks $(BENCH)

fault-table: $(READY)  ## Regenerate the table of faults and components (tests/faults/results/table.md)
	AGENTRUNS_FAULT_TABLE=write $(BIN)/python -m pytest -p no:xdist -q -m full tests/faults/test_table.py

docs: $(READY)  ## Build the documentation into docs/_build/html; warnings are errors
	$(INSTALL) --group docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

ui:  ## Build the pages inside Airflow from their source (requires Node 20.19 or newer)
	cd airflow_provider_agentruns/plugins/ui && npm ci && npm run build

lint: $(READY)  ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)  ## Fix style and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

constraints: $(READY)  ## Update .ci/constraints*.txt to the newest compatible versions
	echo "apache-airflow==$(AIRFLOW_VERSION)" | $(BIN)/uv pip compile --quiet --universal --upgrade --no-header --no-annotate \
		--constraints /dev/stdin --all-extras --group dev --group browser --group bench --group all-tests --group fleet \
		--output-file .ci/constraints.txt pyproject.toml
	# An older Airflow gets the same versions where it accepts them. Airflow 3.2 does not work with svcs 26.
	for version in $(OLDER_AIRFLOWS); do cp .ci/constraints.txt .ci/constraints-$$version.txt && \
		printf 'apache-airflow==%s.*\nsvcs<26\n' $$version | $(BIN)/uv pip compile --quiet --universal --no-header \
		--no-annotate --constraints /dev/stdin --all-extras --group dev --output-file .ci/constraints-$$version.txt \
		pyproject.toml || exit 1; done

build: $(READY)  ## Build the wheel and the source distribution into dist/
	$(BIN)/uv build

clean:  ## Remove everything that these targets create
	rm -rf .venv .venv-matrix .demo dist docs/_build .mypy_cache .pytest_cache .ruff_cache airflow_provider_agentruns/plugins/ui/node_modules

$(READY): pyproject.toml .ci/constraints.txt Makefile
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12, or 3.13 found. Name one with PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(INSTALL) "apache-airflow==$(AIRFLOW_VERSION)" --group dev --editable ".[emulator,pytest]"
	@rm -f $(VENV)/.ready-*
	@touch $@
