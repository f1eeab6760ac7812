# `make demo` and `make test` set up all that they need in .venv. Wanted: make, and Python 3.11, 3.12 or 3.13.

AIRFLOW_VERSION ?= 3.3.2
OLDER_AIRFLOWS := 3.1 3.2
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-airflow-$(AIRFLOW_VERSION)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help demo test fast-test test-matrix test-contract test-lineage test-browser test-scale bench fault-table docs ui lint format constraints build clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(READY)  ## Run an example DAG through a real Airflow, offline, and show what happened (KEEP=1: leave it open)
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

test: $(READY) lint  ## Run the linters and all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

fast-test: $(READY)  ## Run the tests that need no whole Airflow
	$(BIN)/python -m pytest -m "not standalone and not browser" --numprocesses 2

test-matrix: $(READY)  ## Run all tests on several Airflows and Pythons (MATRIX="3.1:3.11 3.3:3.13" or all: on these; TESTS=...: only these)
	@$(BIN)/python -m tests.matrix $(MATRIX) -- --numprocesses 2 --dist loadgroup $(TESTS)

test-contract: $(READY)  ## Have schemathesis try whether the offline service keeps to the contract
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt --group conformance
	$(BIN)/python -m pytest tests/conformance/test_contract.py

test-lineage: $(READY)  ## See what Airflow's OpenLineage provider is told
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt --group lineage
	$(BIN)/python -m pytest tests/observability/test_lineage.py

test-browser: $(READY)  ## Try the review forms in a real browser (SCREENSHOTS=DIR: keep what it saw there)
	@test -x /usr/bin/chromium -a -x /usr/bin/chromedriver || { echo "This takes a browser and its driver:" \
		"apt-get update && apt-get install chromium chromium-driver" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "This takes npm, for the accessibility checker" >&2; exit 1; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt --group browser
	npm ci --silent --prefix airflow_provider_agentruns/plugins/ui
	$(if $(SCREENSHOTS),AGENTRUNS_SCREENSHOTS="$(SCREENSHOTS)") $(BIN)/python -m pytest -m browser tests/browser

test-scale: $(READY)  ## Have a whole Airflow wait for many runs at a time, on PostgreSQL (SCALE=200: so many)
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { echo "This takes a" \
		"PostgreSQL server: apt-get update && apt-get install postgresql" >&2; exit 1; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt --group scale
	$(if $(SCALE),SCALE="$(SCALE)") $(BIN)/python -m pytest --capture no -m scale tests/scale tests/webhooks

bench: $(READY)  ## Measure what waiting costs, beside other providers (about ten minutes; BENCH=full: all rows)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt --group bench
	$(BIN)/python -m tests.benchmarks $(BENCH)

fault-table: $(READY)  ## Write anew what each fault does to each component (tests/faults/results/table.md)
	$(BIN)/python -m tests.faults

docs: $(READY)  ## Build the documentation into docs/_build/html; a warning is an error
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt --group docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

ui:  ## Build the pages inside Airflow from their source (takes Node 20.19 or newer)
	cd airflow_provider_agentruns/plugins/ui && npm ci && npm run build

lint: $(READY)  ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)  ## Put style in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

constraints: $(READY)  ## Write .ci/constraints*.txt anew, with the newest versions that fit
	echo "apache-airflow==$(AIRFLOW_VERSION)" | $(BIN)/uv pip compile --quiet --universal --upgrade --no-header --no-annotate \
		--constraints /dev/stdin --all-extras --group dev --group browser --group scale --group bench \
		--group conformance --group docs --group lineage --output-file .ci/constraints.txt pyproject.toml
	# The same versions as far as an older Airflow takes them; Airflow 3.2 and svcs 26 do not work together.
	for version in $(OLDER_AIRFLOWS); do cp .ci/constraints.txt .ci/constraints-$$version.txt && \
		printf 'apache-airflow==%s.*\nsvcs<26\n' $$version | $(BIN)/uv pip compile --quiet --universal --no-header \
		--no-annotate --constraints /dev/stdin --all-extras --group dev --output-file .ci/constraints-$$version.txt \
		pyproject.toml || exit 1; done

build: $(READY)  ## Build the wheel and the source distribution into dist/
	$(BIN)/uv build

clean:  ## Remove all that was made here
	rm -rf .venv .venv-matrix .demo dist docs/_build .mypy_cache .pytest_cache .ruff_cache airflow_provider_agentruns/plugins/ui/node_modules

$(READY): pyproject.toml .ci/constraints.txt Makefile
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Say which one with PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints .ci/constraints.txt \
		"apache-airflow==$(AIRFLOW_VERSION)" --group dev --editable ".[emulator,pytest]"
	@rm -f $(VENV)/.ready-*
	@touch $@
