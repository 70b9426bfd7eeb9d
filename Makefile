# `make run` opens the dashboard, `make test` runs every check. Each does its own set-up, once.
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin

.PHONY: run test test-style test-types test-package test-browser test-slow test-faults bench pictures clean

run: .venv/ready
	@$(BIN)/python -m digitcore dashboard --port $(PORT)

# All at once: a browser test mostly waits. The rest is nice, so that the pages answer first.
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: test-style
	@$(MAKE) --no-print-directory --jobs 3 $(SYNC) test-types test-package test-browser

test-style: .venv/test-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

test-types: .venv/test-ready
	nice $(BIN)/mypy

test-package: .venv/test-ready
	nice $(BIN)/pytest -m "not slow and not faults" --ignore tests/browser --cov --cov-report term --numprocesses 3 --dist loadfile --durations 15

test-browser: .venv/test-ready
	$(BIN)/pytest -m "not slow and not faults" tests/browser --durations 30

test-slow: .venv/test-ready
	$(BIN)/pytest -m "slow and not faults" -s

# What measures a running server comes last, with nothing beside it.
SERVERS := tests/faults/server tests/browser

test-faults: .venv/test-ready
	$(BIN)/pytest -m faults $(SERVERS:%=--ignore %) --numprocesses auto --maxprocesses 4 --dist worksteal --durations 15
	$(BIN)/pytest -m faults $(SERVERS) -s

bench: .venv/ready
	$(BIN)/python -m digitcore bench

pictures: .venv/test-ready
	$(BIN)/python -m tests.pictures

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

.venv/test-ready: .venv/ready requirements-onnx.txt tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@
