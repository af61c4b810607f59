# Needs Python 3.11 or newer and make. Everything goes into .venv and runs/.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: install demo test lint check format clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train,fetch,dev]"
	touch .venv/installed

install: .venv/installed

demo: install  ## the whole job on drawn faces: train, prune, int8, export, then the table
	$(BIN)/edgeface compress --out $(DEMO) --calibration $(DEMO)/calibration --overwrite
	$(BIN)/edgeface bench $(DEMO) --repeats 2 --min-duration-s 5 \
		--json $(DEMO)/bench-$$(date -u +%Y%m%dT%H%M%SZ).json

test: install  ## all tests; those that need the real faces skip where they are absent
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint test  ## what CI runs

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv runs build dist
