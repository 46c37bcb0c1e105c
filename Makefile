.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# More than the two cores that CI has: tests wait for processes and pauses half of their time.
JOBS ?= 4
# What was compiled once is kept: tests start hundreds of processes, which would each compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install install-dev run test test-slow check style types layers loads format lock audit bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock pyproject.toml
	@python=$(BIN)/python; test -x $$python || python=$(PYTHON); \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=$$($$python --version 2>/dev/null || echo "not there"); \
		echo "Spillway needs Python 3.11 or newer, and $$python is $$found."; \
		echo "Name another one, after \`make clean\` if there is a .venv: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.13"; \
		exit 1; } >&2
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

tests/contract/node_modules/.installed: tests/contract/package.json
	@if command -v npm >/dev/null; then \
		cd tests/contract && npm install --silent --no-audit --no-fund --no-package-lock && touch node_modules/.installed; \
	else echo "There is no Node here: the tests with OpenAI's Node SDK are left out."; fi

tests/browser/node_modules/.installed: tests/browser/package.json
	@if command -v npm >/dev/null; then \
		cd tests/browser && npm install --silent --no-audit --no-fund --no-package-lock && touch node_modules/.installed; \
	else echo "There is no Node here: the tests in a browser fail, since they need axe-core."; fi

$(VENV)-clients/.installed: tests/contract/requirements-clients.lock
	test -x $(VENV)-clients/bin/pip || $(PYTHON) -m venv $(VENV)-clients
	$(VENV)-clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

install: $(VENV)/.installed ## Install Spillway into .venv
install-dev: $(VENV)/.installed-dev tests/contract/node_modules/.installed tests/browser/node_modules/.installed ## Install what the checks and tests need

run: install ## Start the gateway on 127.0.0.1:8000 (without RUNWARE_API_KEY: over the built-in simulator)
	$(BIN)/spillway serve

check: install-dev ## Run the linters, the type checker and the layering contracts
	$(MAKE) --no-print-directory -j2 types style layers loads

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports --no-logo

# Beside the type checker, which keeps one core busy: what is compiled here, each of the tests' processes finds.
loads:
	$(PYTEST) --collect-only -qqq >/dev/null || $(PYTEST) --collect-only -qqq

test: check ## Run all checks and tests
	$(PYTEST) -m "not slow" -n $(JOBS) --dist worksteal

test-slow: install-dev $(VENV)-clients/.installed ## Run the long fault and load sets
	$(PYTEST) -m "slow and not measured" -n $(JOBS) --dist worksteal
	$(PYTEST) -m "slow and measured"

format: install-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install-dev ## Measure CPU, throughput, latency and memory
	$(BIN)/python -m benchmarks

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: ## Pin all dependencies anew, with hashes (needs uv)
	$(LOCK) -o requirements.lock
	$(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) --extra otel -c requirements-dev.lock -o requirements-otel.lock
	$(LOCK) --extra audit -c requirements-dev.lock -o requirements-audit.lock
	$(subst pyproject.toml,tests/contract/requirements-clients.in,$(LOCK)) -o tests/contract/requirements-clients.lock

audit: ## Look up known vulnerabilities of everything that is pinned (asks the advisory service of the package index)
	test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)-audit && \
		$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.lock; }
	for lock in requirements.lock requirements-otel.lock requirements-dev.lock; do \
		$(VENV)-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$lock || exit 1; done

clean: ## Remove what was installed and made
	rm -rf $(VENV) $(VENV)-audit data $(VENV)-clients tests/contract/node_modules tests/browser/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
