# The two commands of a newcomer: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2
# Tests of one group share what is slow to set up, so they go to one process.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
# Each test process gets one compute thread: the processes already use every core.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo docs test test-oldest test-slow test-ray test-gpu coverage lint types pytest format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo  ## train on digits: everything, a random fifth, the Fiedler vector's fifth
	$(BIN)/spectral-select train digits --out runs/demo

test: lint types pytest  ## everything that CI checks

lint: $(VENV)/.dev  ## style, and that imports flow one way
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

pytest: $(VENV)/.dev
	$(ONE_THREAD) $(PYTEST) -m "not slow and not gpu and not ray"

test-slow: $(VENV)/.dev  ## long checks, run before a release
	$(ONE_THREAD) HYPOTHESIS_PROFILE=nightly $(PYTEST) -m slow

test-ray: $(VENV)/.dev  ## the same work on a small local Ray cluster
	$(ONE_THREAD) $(BIN)/python -m pytest -m ray tests

test-gpu: $(VENV)/.dev  ## what only a GPU can show, on a machine that has one
	$(BIN)/python -m pytest -m gpu tests/gpu

coverage: $(VENV)/.dev  ## which lines and branches no test reaches
	rm -f .coverage .coverage.*
	$(ONE_THREAD) $(BIN)/python -m coverage run -m pytest -q -n $(WORKERS) --dist loadgroup -m "not slow and not gpu and not ray"
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

# pip reads PIP_CONSTRAINT wherever it runs: for $(VENV)-oldest, for the build, in the tests.
# What old packages use and newer ones deprecate is no fault of ours.
test-oldest: $(VENV)-oldest/oldest.txt  ## the tests, on the oldest versions that are claimed
	PIP_CONSTRAINT=$(abspath $<) PYTEST_ADDOPTS='-W default::DeprecationWarning' \
	    $(MAKE) pytest VENV=$(VENV)-oldest

docs: $(VENV)/.dev  ## the site, into docs/_build/html; needs no network
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(VENV)-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf docs/_build docs/examples docs/reference

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spectral_select needs Python 3.11 or newer; set PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)

$(VENV)-oldest/oldest.txt: pyproject.toml tests/oldest_requirements.py
	mkdir -p $(@D)
	$(PYTHON) tests/oldest_requirements.py torch timm hf open_clip st report frameworks test dev > $@

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV): PyTorch takes a few minutes the first time."
	$(PIP) -e '.[torch,report]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV): PyTorch takes a few minutes the first time."
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.demo
