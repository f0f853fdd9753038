# The two commands of a newcomer: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2
# Each test process gets one compute thread: the processes already use every core.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test test-slow lint types pytest format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo  ## train on digits: everything, a random fifth, the Fiedler vector's fifth
	$(BIN)/spectral-select train digits --out runs/demo

test: lint types pytest  ## everything that CI checks

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

pytest: $(VENV)/.dev
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

test-slow: $(VENV)/.dev  ## long checks, run before a release
	$(ONE_THREAD) HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n $(WORKERS) -m slow

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spectral_select needs Python 3.11 or newer; set PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV): PyTorch takes a few minutes the first time."
	$(PIP) -e '.[torch,report]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV): PyTorch takes a few minutes the first time."
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.demo
