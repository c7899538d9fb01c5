# One environment in .venv, installed from requirements.lock with every hash checked, and never installed twice:
# the stamps carry checksums of what was installed, and are written last.

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && { echo $$python; break; }; done)
PIP := .venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet --no-deps --no-build-isolation --no-compile
BUILDERS := packaging|setuptools|setuptools-scm|vcs-versioning

# The folder counts too: an environment does not survive being moved or copied.
LOCKED := .venv/.locked-$(shell { echo "$(CURDIR)"; cat requirements.lock; } | cksum | tr ' ' '-')
INSTALLED := .venv/.installed-$(shell cksum < pyproject.toml | tr ' ' '-')
ifneq ($(shell test -x .venv/bin/python && echo yes),yes)
.PHONY: $(LOCKED)
endif

.PHONY: help setup run test test-all coverage test-slow format notebooks docs lock
.DEFAULT_GOAL := help

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## Create or refresh .venv (run and test do it themselves)

run: $(INSTALLED) ## Train the default experiment, or another: make run ARGS="framework=singlestep"
	@.venv/bin/python train.py $(ARGS)

test: $(INSTALLED) ## Lint, type-check and run the tests, every pair of each product of settings
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy --strict src
	.venv/bin/python -m pytest -n 2 --dist worksteal

test-all: $(INSTALLED) ## Run what `make test` leaves out of the products of settings
	.venv/bin/python -m pytest -n 2 --dist worksteal -m "whole and not slow"

coverage: $(INSTALLED) ## Run the tests of `make test` once more, half as fast, to see what they cover: 90 % at least
	.venv/bin/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=90

test-slow: $(INSTALLED) ## Run the slow tests: minutes of training
	.venv/bin/python -m pytest -m slow

format: $(INSTALLED) ## Fix what ruff can fix, and format
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

notebooks: $(INSTALLED) ## Execute the text of the notebooks and write them beside it
	.venv/bin/python scripts/notebooks.py

docs: $(INSTALLED) ## Build the pages as a site, docs/_build/index.html; a warning is an error
	@.venv/bin/python -m sphinx -q -W -n docs docs/_build
	@echo "built: docs/_build/index.html"

lock: ## Write requirements.lock anew with uv, which you have; ARGS=--upgrade takes the newest versions
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-header $(ARGS) \
		--output-file requirements.lock pyproject.toml

# What builds the packages that have no wheel goes first, so that nothing unhashed is fetched to build with. Compiling is
# left to all cores, where pip would use one; libraries ship a few files that do not compile.
$(LOCKED):
	@$(or $(PYTHON),false) -c "$(SUPPORTED)" 2>/dev/null || { echo "membrane needs Python 3.11, 3.12 or 3.13," \
		"$(if $(PYTHON),$(PYTHON) is not,none was found): name one with make PYTHON=..." >&2; exit 1; }
	@echo "Setting up .venv from requirements.lock: about 6 GB, a few minutes ..."
	@$(PYTHON) -m venv --clear .venv
	@sed -nE '/^($(BUILDERS))==/,/# via/p' requirements.lock > .venv/builders.lock
	@$(PIP) --require-hashes --only-binary :all: --requirement .venv/builders.lock
	@$(PIP) --require-hashes --requirement requirements.lock
	@.venv/bin/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

$(INSTALLED): $(LOCKED)
	@rm -f .venv/.installed-*
	@$(PIP) --editable .
	@touch $@
