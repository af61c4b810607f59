# Needs Python 3.11 or newer and make. Everything goes into .venv and runs/.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo
DEMO_MODEL := mobilenetv2-a35-64px# what the recipe `drawn` makes
# a file's tests stay in one process, which makes its fixtures once; tests/conftest.py sets the order
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder
DEMO_RESULT := $(DEMO)/bench-$(shell date -u +%Y%m%dT%H%M%SZ).json

.PHONY: install demo test lint check format clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train,fetch,dev]"
	touch .venv/installed

install: .venv/installed

demo: install  ## the whole job on drawn faces: train, prune, int8, export, the table, the page
	$(BIN)/edgeface compress --out $(DEMO) --calibration $(DEMO)/calibration --overwrite
	$(BIN)/edgeface bench $(DEMO) --repeats 2 --min-duration-s 5 --json $(DEMO_RESULT)
	$(BIN)/edgeface report --html $(DEMO)/page.html --results $(DEMO_RESULT) --exported $(DEMO) \
		--before $(DEMO)/$(DEMO_MODEL)-float32.tflite --after $(DEMO)/$(DEMO_MODEL)-p30-int8.tflite
	@echo "open this in a browser: file://$(abspath $(DEMO)/page.html)"

test: install  ## all tests; those that need the real faces skip where they are absent
	$(BIN)/python -m pytest $(IN_TWO)

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
