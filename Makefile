# relcast: every command that a newcomer needs. Works from a path with spaces in it.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= serve
# Spark is tested where it can run: it needs Java, and half a gigabyte.
SPARK := $(shell java -version >/dev/null 2>&1 && echo $(VENV)/.spark)
# Two spinning OpenMP threads are slower than one on a busy machine.
export OMP_WAIT_POLICY := passive
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long lint format bench bench-relf1 bench-scale bench-labels bench-features bench-learners bench-peers bench-ranking bench-sampler clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "relcast needs Python 3.11 or newer; this is %d.%d. Run: make PYTHON=python3.12 setup" % v[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.setup: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.'
	@touch $@

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@ $(VENV)/.setup

# PyTorch first and by its own name, so that a CPU build is used where one is offered.
$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.demo $(VENV)/.setup

$(VENV)/.spark: pyproject.toml | $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[spark]'
	@touch $@

setup: $(VENV)/.setup ## Make .venv with relcast in it
	@echo "Ready: $(BIN)/relcast --help"

demo: $(VENV)/.demo ## Real flights, a query, a model and predictions over the REST API (DEMO=once: stop at the end)
	@$(BIN)/python demo/flights.py --mode '$(DEMO)'

test: $(VENV)/.test $(SPARK) ## Run the tests (some minutes)
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m 'not long'

test-long: $(VENV)/.test $(SPARK) ## Run the long campaigns as well (hours)
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: $(VENV)/.test ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-relf1 bench-scale bench-labels ## Run the benchmarks

bench-relf1: $(VENV)/.test ## Accuracy on rel-f1 beside published figures
	$(BIN)/python bench/relf1.py

bench-scale: $(VENV)/.test ## 10^5 to 10^6 orders: stages, time, memory, growth
	$(BIN)/python bench/scale.py

bench-labels: $(VENV)/.test ## Training tables beside the best hand-written SQL, 10^7 facts; overlapping windows
	$(BIN)/python bench/labels.py

bench-features: $(VENV)/.test ## Relational features a second, beside featuretools where it is there
	$(BIN)/python bench/features.py

bench-learners: $(VENV)/.test ## Every task type on the real data sets beside the best baseline
	$(BIN)/python bench/learners.py

bench-ranking: $(VENV)/.test ## Next items and rel-f1's circuits: MAP@10 beside popularity and the own past
	$(BIN)/python bench/ranking.py

bench-sampler: $(VENV)/.test ## The network's neighbour sampler, beside pyg-lib where it installs
	$(BIN)/python bench/sampler.py

bench-peers: $(VENV)/.test ## kumo-engine and featuretools on the same rows and split (some gigabytes)
	$(BIN)/python bench/peers.py

clean: ## Remove the environment and caches
	rm -rf $(VENV) .demo .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis
