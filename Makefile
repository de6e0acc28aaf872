# One task file: people, hooks and CI call the same targets.
PYTHON ?= python
.DEFAULT_GOAL := help
.PHONY: help check test test-all perf figures format docs

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

check: ## lint, format, types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: ## mend what lint and format can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

test: ## the tests, minutes
	$(PYTHON) -m pytest -m "not slow"

test-all: ## every test, the slow ones included
	$(PYTHON) -m pytest

perf: ## measure overhead, start-up and journal speed on this machine
	$(PYTHON) tests/perf/overhead.py
	$(PYTHON) tests/perf/speed.py

docs: ## the reference of every public name, from the docstrings, in build/docs (extra: docs)
	$(PYTHON) -m pdoc -o build/docs lcbench optimizers pipeline experiments

figures: ## (none yet)
	@echo "no figures yet"
