# Countersign: `make` lists what there is. Only python3 (3.11 to 3.13, with venv) and make are assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8030
SOAK_KILLS ?= 1000
SOAK_IMAGES ?= 10000
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint imports types simulate bench mutants pictures lock clean

help: ## list these targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## a workspace page, the real bot on it, an embedded model (PORT, DEMO_OPTS)
	PORT=$(PORT) $(BIN)/python -m bot demo $(DEMO_OPTS)

test: $(VENV)/.dev ## the whole suite; TESTS="-k gate" picks
	$(BIN)/python -m pytest $(TESTS)

check: lint imports types test ## format, lint, imports, types, tests

format: $(VENV)/.dev ## put every file into shape
	$(BIN)/ruff format . && $(BIN)/ruff check --fix-only --quiet .

lint: $(VENV)/.dev ## formatting and ruff
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

imports: $(VENV)/.dev ## the arrow bot -> handlers -> storage
	$(BIN)/lint-imports

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

simulate: $(VENV)/.dev ## worlds of the deterministic simulator (SEEDS=10000, FIRST=0)
	$(BIN)/python -m tests.faults.simulate --seeds $(or $(SEEDS),10000) --first $(or $(FIRST),0)

bench: $(VENV)/.dev ## the bot beside a bare listener: alone, in a crowd, at its limits; BENCH_OPTS="--quick --only pace"
	$(BIN)/python -m tests.bench $(BENCH_OPTS)

soak: $(VENV)/.dev ## SOAK_KILLS (1000) kills under load on each database, SOAK_IMAGES (10000) power losses, what is marked soak; SOAK_SEED
	$(BIN)/python -m tests.faults.soak --database sqlite --kills $(SOAK_KILLS) $(if $(SOAK_SEED),--seed $(SOAK_SEED))
	$(BIN)/python -m tests.faults.soak --database postgresql --kills $(SOAK_KILLS) $(if $(SOAK_SEED),--seed $(SOAK_SEED))
	CI=true SEED=$(SOAK_SEED) IMAGES=$(SOAK_IMAGES) $(BIN)/python -m pytest -q -s --timeout 1800 tests/faults/test_power.py
	CI=true SEED=$(SOAK_SEED) $(BIN)/python -m pytest -q --timeout 1800 -m soak tests

mutants: $(VENV)/.dev ## small faults made in the gate and the ledger one by one, and those that no quick test notices
	$(BIN)/mutmut run --max-children $(or $(CHILDREN),2)
	$(BIN)/mutmut results

pictures: $(VENV)/.dev ## the README's pictures, from the scripted demo in a Chromium
	$(BIN)/python -m tests.browser.pictures

lock: $(VENV)/.dev ## renew the pinned requirements from pyproject.toml's ranges
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) --no-deps --group demo -o requirements-demo.txt
	$(LOCK) --group dev -c requirements.txt -o requirements-dev.txt

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.demo: requirements-demo.txt $(VENV)/.run
	$(PIP) -r requirements-demo.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.demo
	$(PIP) -r requirements-dev.txt
	@touch $@
