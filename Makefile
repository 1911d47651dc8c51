# Every task of the repository; `make` alone lists them.

PYTHON ?= python3
PORT ?= 8000

VENV := .venv
BIN := $(VENV)/bin
# Written last by `python -m venv`, so an interrupted environment is made again.
ENVIRONMENT := $(BIN)/activate
# What is installed: enough to run, or everything (which is enough to run as well).
TO_RUN := $(VENV)/.installed-to-run
TO_DEVELOP := $(VENV)/.installed-to-develop
PIP_INSTALL := $(BIN)/python -m pip install --constraint constraints.txt --editable

.DEFAULT_GOAL := help
.PHONY: help setup lint types test demo wheel clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' Makefile

setup: $(TO_DEVELOP) ## install everything for use and development into .venv

lint: $(TO_DEVELOP) ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(TO_DEVELOP) ## check types
	$(BIN)/mypy

test: lint types ## check style and types, then run every test, file by file in two processes
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

demo: $(TO_RUN) ## index a small collection, ask it three questions, serve it at PORT
	$(BIN)/cloze demo --port $(PORT)

wheel: $(TO_DEVELOP) ## build the wheel into dist/
	rm -rf build
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove .venv and everything built
	rm -rf $(VENV) build dist *.egg-info __pycache__
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find indexer search eval training tests -name __pycache__ -prune -exec rm -rf {} +

$(ENVIRONMENT):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo 'cloze needs Python 3.11 or newer and $(PYTHON) is not: add PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo '$(PYTHON) cannot make environments: on Debian, apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(TO_RUN): pyproject.toml constraints.txt | $(ENVIRONMENT)
	$(PIP_INSTALL) ".[cpu,demo]"
	touch $@

$(TO_DEVELOP): pyproject.toml constraints.txt | $(ENVIRONMENT)
	$(PIP_INSTALL) ".[cpu,demo,dev]"
	touch $(TO_RUN) $@
