# Two commands do all set-up: `make demo` shows rookery at work, `make test` checks everything.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 3

.PHONY: demo test check lint types layers unit docs soak bench clean help

help:            ## what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:[^#]*##/\t/' | expand -t 12

demo: $(STAMP)   ## start two web apps and a worker, kill things, watch them return
	KEEP="$(KEEP)" $(BIN)/python examples/demo/demo.py

test: check unit ## everything CI checks

check: lint types layers

lint: $(STAMP)   ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy --strict
	$(BIN)/mypy

layers: $(STAMP) ## the import rules
	$(BIN)/lint-imports

unit: $(STAMP)   ## the tests, three at a time, for they wait a lot; ARGS=tests/pure for some, JOBS=0 for one after another
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

docs: $(STAMP)   ## write the reference pages anew, from the commands and keys
	$(BIN)/python scripts/docs/reference.py

soak: $(STAMP)   ## ten minutes of killing keeper, manager and collector under load, and ten of pools
	$(BIN)/python scripts/soak/soak.py --seconds $(or $(SECONDS),600)
	$(BIN)/python scripts/soak/pool.py --seconds $(or $(SECONDS),600)

bench: $(STAMP)  ## speed and cost beside the peers of each part, a quarter of an hour; ARGS=--markdown for tables to copy
	$(BIN)/python benchmarks/logs.py $(ARGS)
	$(BIN)/python benchmarks/manager.py $(ARGS)
	$(BIN)/python benchmarks/manager.py --apps 1000 --rounds 1 --idle 10 $(ARGS)
	$(BIN)/python benchmarks/ipc.py $(ARGS)
	$(BIN)/python benchmarks/process.py $(ARGS)
	$(BIN)/python benchmarks/pool.py $(ARGS)
	$(BIN)/python benchmarks/cluster.py --quick $(ARGS)

clean:           ## remove what set-up made
	rm -rf $(VENV) .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# Byte-compiled at install: the command line is to feel instant from its first run on, even where
# PYTHONDONTWRITEBYTECODE is set.
$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("rookery needs Python 3.11 or newer; try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m compileall -q src
	touch $@
