# One word each, the same for people, pre-commit and CI. Every target makes what it needs, once, in .venv.
# Plain enough for the GNU make 3.81 that macOS ships.

.PHONY: help demo test test-real check setup bench clean

# The first of these that is new enough; `make demo PYTHON=…` chooses another.
NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
            $$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$p && break; done)

VENV = .venv
BIN = $(VENV)/bin
MADE = $(VENV)/made
CORE = $(VENV)/installed-core
DEV = $(VENV)/installed-dev
PIP = $(BIN)/python -m pip install --disable-pip-version-check --quiet

# What `make test TESTS=tests/io` and `make test-real TESTS=…` run; empty means all.
TESTS =
# No single test may take longer than this many seconds.
LIMIT = 300
# Files of tests are shared out among the cores; each core computes with one thread.
SHARED_OUT = -n auto --dist loadfile

help:
	@echo "make demo       simulate, train, predict, evaluate: minutes, on any laptop (pictures in demo/)"
	@echo "make test       the tests that need nothing but this folder"
	@echo "make test-real  the tests on real micrographs in ../shared/data"
	@echo "make check      style, types, architecture, spelling"
	@echo "make bench      what we claim about speed and size, measured"
	@echo "make setup      .venv with all a developer needs, and the pre-commit hooks"
	@echo "make clean      remove .venv and everything that was made"

demo: $(CORE)
	$(BIN)/graticule demo

test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not real" --timeout=$(LIMIT) $(SHARED_OUT) $(TESTS)

test-real: $(DEV)
	$(BIN)/python -m pytest -m real --timeout=1800 $(TESTS)

check: $(DEV)
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports
	$(BIN)/typos

setup: $(DEV)
	@if [ -d .git ]; then $(BIN)/pre-commit install; else echo "not a git clone: no pre-commit hooks to install"; fi

BENCHMARKS = $(filter-out benchmarks/machine.py,$(wildcard benchmarks/*.sh benchmarks/*.py))

bench: $(DEV)
	@failed=0; for script in $(BENCHMARKS); do echo "== $$script"; \
	  case $$script in *.py) $(BIN)/python $$script ;; *) PYTHON="$(PYTHON)" bash $$script ;; esac || failed=1; \
	done; exit $$failed

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Stamps are written when a step is done, so that an interrupted one starts again.
$(MADE):
	@if [ -z "$(PYTHON)" ]; then \
	  echo "Graticule needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || echo none)." \
	       "Install one, or name it: make demo PYTHON=/path/to/python3"; exit 2; fi
	@if ! $(PYTHON) -c '$(NEW_ENOUGH)'; then \
	  echo "Graticule needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	       "Name another: make demo PYTHON=/path/to/python3"; exit 2; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv"; exit 2; fi
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $(MADE)

# torch first and by name: pip then takes exactly the tested version before anything else can ask for a newer one.
$(CORE): $(MADE) pyproject.toml constraints.txt
	@echo "installing into $(VENV) (once; a few minutes, most of it torch)"
	@$(PIP) -c constraints.txt torch
	@$(PIP) -c constraints.txt -e .
	@touch $(CORE)

$(DEV): $(CORE)
	@$(PIP) -c constraints.txt -e '.[dev,web,tune,explain]'
	@$(PIP) -c constraints.txt -e '.[napari]' || echo "napari cannot be installed here: its tests will be skipped"
	@touch $(DEV)
