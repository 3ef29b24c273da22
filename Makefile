# What people run: `make demo`, then `make test`. Everything else is for those who work on the project.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Rebuilt when a dependency or a pin changes; nothing is fetched otherwise.
READY := $(VENV)/.ready

.PHONY: demo test check format docs bench clean

demo: $(READY)
	@$(BIN)/python tools/demo.py

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)
	$(BIN)/python tools/docs.py

bench: $(READY)
	$(BIN)/python tools/bench.py

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache

$(READY): pyproject.toml constraints.txt setup.py $(wildcard src/mistral_cli/kernels/csrc/*)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned dependencies into $(VENV) (once; a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
