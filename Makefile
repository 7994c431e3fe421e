# Every target does its own set-up from a bare checkout: a virtual environment in .venv, with the
# project installed in it. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard tests/plugins/*/pyproject.toml)

.PHONY: demo test test-slow bench lint schema docs dist clean

demo: $(VENV)/.installed
	$(BIN)/fleetopt solve examples/fleet.yaml

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto -m "not slow"

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in build/site; a broken link or a warning is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

dist: $(VENV)/.installed-dev
	$(BIN)/python .ci/check_distributions.py dist

schema: $(VENV)/.installed
	$(BIN)/fleetopt schema -o docs/reference/fleet.schema.json
	$(BIN)/fleetopt schema --control -o docs/reference/control.schema.json
	$(BIN)/fleetopt operator crds -o deploy/kubernetes/crds.yaml
	$(BIN)/fleetopt operator crds -o deploy/helm/fleetopt/crds/crds.yaml
	$(BIN)/fleetopt schema --documents -o docs/reference/documents.schema.json

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml $(PLUGINS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@ $(VENV)/.installed
