# Each target does its own set-up: `make demo` and `make test` work on a machine that has Python >= 3.11, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := .venv-extras
NEED_EXTRAS := tests/unit/train/test_train_optimisers.py tests/unit/models/test_models_quantised.py \
	tests/unit/curate/test_curate_engines.py
# A worker a core; a file stays with one worker, so that what its tests share is made once.
SPREAD := --numprocesses logical --dist loadfile
# Real data for tests and benchmarks, where the folder exists; tests that need it skip with a message elsewhere.
LUTHIER_TEST_DATA ?= $(wildcard $(abspath ../shared/data))
export LUTHIER_TEST_DATA

.PHONY: demo test test-slow check setup bench-setup clean
setup: $(STAMP)
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Luthier needs Python >= 3.11; set PYTHON=... to one")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing exact versions from requirements.lock into $(VENV) (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/luthier demo

test: $(STAMP) $(EXTRAS)/.installed
	@$(BIN)/python -m pytest $(SPREAD) -m "not slow"
	@echo "the tests that need a package of the extras:"
	@PYTHONPATH=$(EXTRAS) $(BIN)/python -m pytest -m "not slow" $(NEED_EXTRAS)

# Apart from the environment: its mere presence would slow down every start of transformers.
$(EXTRAS)/.installed: $(STAMP) requirements-extras.lock
	@mkdir -p $(EXTRAS)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(EXTRAS) -r requirements-extras.lock \
		&& touch $@ || echo "the extras could not be installed; the tests that need them skip"

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -m slow

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/architecture -q
	@$(BIN)/python -m tests.architecture.house_numbers
	@$(BIN)/python -m pytest $(SPREAD) -m "not slow"

# The peer that benchmarks compare with, in an environment of its own.
bench-setup: $(STAMP) .venv-oracle/.installed
.venv-oracle/.installed: bench/oracle.lock
	@test -x .venv-oracle/bin/python || $(PYTHON) -m venv .venv-oracle
	@.venv-oracle/bin/pip install --quiet --disable-pip-version-check -r bench/oracle.lock
	@touch $@

clean:
	rm -rf $(VENV) .venv-oracle .venv-extras luthier-demo
