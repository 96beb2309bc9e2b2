# Everything that `make test` and `make demo` need is set up here: Python 3.11 or later with venv and pip, and make, suffice.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready-test
WORKERS ?= 2
# one of the sample movies is a sequence of plain files, which can't hold a calibration
DEMO_OPTIONS := --pixel-size-um 0.18 --frame-interval-s 120

.DEFAULT_GOAL := help
.PHONY: help test lint demo docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

# The stamp is younger than what it was made from, or the environment is made anew.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no python3 found; install Python 3.11 or give PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: expected Python 3.11 or later, got $$($(PYTHON) -V); give PYTHON=/path/to/python" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

test: $(STAMP) ## style, types, import rules and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(WORKERS) -m "not slow"

lint: $(STAMP) ## style, types and import rules only; mends what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy
	$(BIN)/lint-imports

demo: $(STAMP) ## analyse the sample data and print the table of cells
	rm -rf demo_output
	$(BIN)/migradetect run sample_data/movies --out demo_output $(DEMO_OPTIONS) --cells

docs: $(STAMP) ## the pages as a site, into build/site
	$(BIN)/python workflows/docs/reference_pages.py
	$(BIN)/mkdocs build --strict --clean

clean: ## remove the environment, caches and demo results
	rm -rf $(VENV) demo_output build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
