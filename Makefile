# One task file: people, hooks and CI call the same targets.
PYTHON ?= python
.DEFAULT_GOAL := help
.PHONY: help check test test-all perf record figures format docs

# The small database that ships: every task with the same configurations, seed 1, 50 epochs.
RECORDED = vehicle,blood-transfusion-service-center,Australian,credit-g,car,segment,kr-vs-kp,phoneme
CONFIGURATIONS = 500

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
	$(PYTHON) -m pytest -m "not slow" -n auto

test-all: ## every test, the slow ones included
	$(PYTHON) -m pytest

perf: ## measure overhead, journals, the database, its import, the surrogate and simulated runs on this machine (half an hour)
	$(PYTHON) tests/perf/overhead.py
	$(PYTHON) tests/perf/speed.py
	$(PYTHON) tests/perf/database.py
	$(PYTHON) tests/perf/import_json.py
	$(PYTHON) tests/perf/surrogate.py
	$(PYTHON) tests/perf/simulation.py
	$(PYTHON) -m tests.perf.peers

record: ## record the small database anew and fit its surrogates (an hour and a half on two cores; needs the OpenML tasks)
	$(PYTHON) run.py -m task=$(RECORDED) space=lcbench optimizer=random seed=1 budget.trials=$(CONFIGURATIONS) runs=runs/shipped \
		traditional=none ensemble.size=0
	$(PYTHON) -m lcbench import runs/shipped/live/*/lcbench/random/1 --to build/small.h5 --replace --finished --licence Apache-2.0 \
		--metrics '*_accuracy,*_cross_entropy,train_loss'
	$(PYTHON) -m lcbench fit-surrogate build/small.h5
	$(PYTHON) -m lcbench export build/small.h5 lcbench/data/lcbench_small.h5 --layout compressed
	$(PYTHON) -m lcbench export lcbench/data/lcbench_small.h5 lcbench/data/README.md

docs: ## the reference of every public name, from the docstrings, in build/docs (extra: docs)
	$(PYTHON) -m pdoc -o build/docs lcbench optimizers pipeline experiments analysis

figures: ## compare every optimizer on the tables that ship and draw every figure (minutes)
	$(PYTHON) -m experiments.compare
	$(PYTHON) -m analysis runs/studies/default
