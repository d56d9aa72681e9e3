# make demo   predict fixations of a bundled clip with sound, and say where the overlay is
# make test   run the tests, with the quick ones of the authors' nets, in WORKERS processes (2)
# make parity run every golden of the authors' nets, ten minutes (GOLDENS=DIR for others)
# make lint   ruff and the import contract
# make wheel  build the wheel and print its size
# Each sets up what it needs in .venv by itself; only python3 (3.11 or newer) and pip are needed.

PYTHON ?= python3
VENV ?= .venv
DATA ?= $(or $(STAJAX_DATA),../shared)
GOLDENS ?= tests/goldens/nets
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO_CLIP := third_party/media/big_buck_bunny.mp4

.PHONY: demo test parity lint wheel format clean

demo: $(VENV)/.installed
	@echo "== stajax predict $(DEMO_CLIP) -o demo"
	@$(BIN)/stajax predict $(DEMO_CLIP) -o demo --overwrite
	@echo "== maps:    demo/big_buck_bunny/maps.npz"
	@echo "== overlay: demo/big_buck_bunny/overlay.mp4 (open it in a browser or a player; it has the clip's sound)"

test: $(VENV)/.installed-dev
	@echo "== pytest (data for the tests that want real clips: $(DATA))"
	@STAJAX_DATA=$(DATA) $(BIN)/python -m pytest --fast -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

parity: $(VENV)/.installed-dev
	@echo "== pytest tests/parity (goldens: $(GOLDENS))"
	@$(BIN)/python -m pytest tests/parity --goldens $(GOLDENS) -s $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	@echo "== ruff check, ruff format --check, lint-imports"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

wheel: $(VENV)/.installed
	@rm -rf dist build && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps -w dist .
	@ls -l dist/*.whl | awk '{printf "== %s: %.1f MB\n", $$NF, $$5 / 1e6}'

clean:
	rm -rf $(VENV) demo dist build *.egg-info .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "stajax needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "== making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || \
		{ echo "== no venv module here; taking virtualenv"; rm -rf $(VENV); \
		  $(PYTHON) -m pip install --quiet --user virtualenv && $(PYTHON) -m virtualenv --quiet $(VENV); }

$(VENV)/.installed: $(BIN)/python pyproject.toml
	@echo "== installing stajax and what it needs into $(VENV) (a minute or two)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml
	@echo "== installing stajax, its tests and linters into $(VENV) (a minute or two)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed
