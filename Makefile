# The work is in tools/setup (Python, standard library only); this file only names it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin

.PHONY: help setup environment demo test lint types bench bench-inference bench-poc bench-poc-claims proto clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18

setup: ## everything that demo and test need: Python environment, CometBFT, model A
	@$(if $(PYTHON),,echo "Evergrid needs Python 3.11 or newer; install it (for example the package python3.11) and call make again." >&2; exit 1)
	@$(PYTHON) -m tools.setup

environment:
	@$(if $(PYTHON),,echo "Evergrid needs Python 3.11 or newer; install it (for example the package python3.11) and call make again." >&2; exit 1)
	@$(PYTHON) -m tools.setup environment

demo: setup ## a network of two participants and three MLNodes through whole epochs
	@$(BIN)/evergrid demo $(ARGS)

test: setup lint ## set up, lint and pass all tests (make test ARGS='-k bank')
	@$(BIN)/python -m tools.run_tests $(ARGS)

lint: environment types ## ruff, mypy, import contracts, determinism
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tools.determinism

types: environment ## mypy --strict alone
	@$(BIN)/mypy

bench: setup ## measure and print tables (JSON beside them)
	@$(BIN)/python -m bench $(ARGS)

bench-inference: setup ## tokens per second and time to first token, at 1, 8 and 64 requests at once
	@$(BIN)/python -m bench.inference $(ARGS)

bench-poc: setup ## nonces per second, generated and validated
	@$(BIN)/python -m bench.poc rates $(ARGS)

bench-poc-claims: setup ## every claim of docs/proof-of-compute.md, and the page (an hour)
	@$(BIN)/python -m bench.poc claims $(ARGS)

proto: environment ## generate protocol/gen from proto/
	@$(BIN)/python -m tools.protogen

clean: ## remove what setup made: .venv and .cache
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
