# `make demo` and `make test` need nothing but Python 3.11, Go and, for what is missing, root on Debian.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Bytecode is cached: start-up times are part of what is tested.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check unit e2e soak bench bench-migrate lock docs clean
help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.installed ## a virtual environment with the locked versions and `portable` itself

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	$(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

demo: setup ## the example app on a real kind cluster, ending with a request answered by it
	$(BIN)/python examples/demo.py

check: setup ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

test: check ## everything that CI runs; starts what it needs and stops it afterwards
	$(BIN)/python -m tests.world -- $(TESTS)

unit: setup ## only what needs no cluster
	$(BIN)/pytest -m "unit or contract" $(TESTS)

e2e: setup ## only what needs a cluster
	$(BIN)/python -m tests.world -- -m e2e $(TESTS)

soak: setup ## the long matrices, whole
	PORTABLE_SOAK=1 $(BIN)/python -m tests.world -- $(TESTS)

bench: setup ## measure and rewrite the tables in docs/benchmarks.md
	$(BIN)/python -m tests.world --run $(BIN)/python -m tests.benchmarks

bench-migrate: setup ## of these only how volumes move
	$(BIN)/python -m tests.world --run $(BIN)/python -m tests.benchmarks migrate-large migrate-small

docs: setup ## renew the generated reference pages
	$(BIN)/python -m tests.renew_docs

lock: ## renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile --quiet --all-extras --group dev --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --output-file requirements.lock pyproject.toml

clean: ## remove the virtual environment and caches of this checkout
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
