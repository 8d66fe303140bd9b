# What one does here. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help install lock demo test chaos fuzz lint audit image bench docs serve console screenshots browser clean

# The lock is resolved on Python 3.11; later ones work too.
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.installed ## Build .venv from the two locks (again only when a lock or pyproject.toml changed)

.venv/.installed: requirements.lock requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Backhaul needs Python 3.11 or later; name one with make install PYTHON=..." >&2; exit 1; }
	@echo "Installing into .venv; the first time takes a minute or two."
	@rm -f $@
	@$(PYTHON) -m venv .venv
	@$(PIP) install --no-compile --no-deps --require-hashes --requirement requirements.lock --requirement requirements-dev.lock
	@$(PIP) install --no-compile --no-deps --no-index --no-build-isolation --editable .
	@# Compiled here on every core, so that the first command does not pay for it; a package's own broken sample file is no reason to stop.
	@$(BIN)/python -m compileall -q -q -j 0 .venv/lib backhaul flows tasks || true
	@touch $@

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
	--no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --upgrade --extra build

lock: install ## Resolve the dependencies anew: requirements.lock is what runs, requirements-dev.lock what developers need besides
	@mkdir -p build
	@$(COMPILE) --output-file requirements.lock pyproject.toml
	@$(COMPILE) --extra dev --constraint requirements.lock --output-file build/both.lock pyproject.toml
	@awk 'NR == FNR { if (/==/) runs[$$1]; next } /==/ { is_new = !($$1 in runs) } is_new' requirements.lock build/both.lock > requirements-dev.lock

demo: install ## Run the whole of Backhaul against simulated vendors
	@$(BIN)/backhaul demo

test: install browser ## Run the tests
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

chaos: install ## Let everything go wrong: every operation fails, every point is a crash, thousands of histories (an hour or more)
	@CHAOS=1 $(BIN)/pytest tests/chaos -n 2 --dist worksteal

fuzz: install ## Send the receiver, the parsers and the config a hundred thousand things that nobody would (some minutes)
	@FUZZ=100000 $(BIN)/pytest tests/receiver/test_fuzz.py tests/house/test_fuzz.py

lint: install ## Check style, types, the direction of imports, and that no file names a registry, a machine or a secret
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/check_files.py
	@$(BIN)/python scripts/check_vendors.py

audit: install ## Look for insecure code, for secrets, and (where a vulnerability service answers) for known holes in what is locked
	@$(BIN)/ruff check .
	@$(BIN)/python scripts/check_files.py
	@$(BIN)/python scripts/audit_lock.py

image: install ## Build what the container image would hold, in a clean folder, and run its demo
	@$(BIN)/python scripts/try_image.py

bench: install ## Measure the numbers that docs promise
	@$(BIN)/python -m benchmarks

docs: install ## Write the generated pages of docs/ anew
	@$(BIN)/python -m scripts.write_docs

screenshots: install browser ## Draw the pictures of the console for the README, from the demo's world
	@test -f build/demo/backhaul.db || $(BIN)/backhaul demo
	@$(BIN)/python -m scripts.take_screenshots

browser: # a Chromium for the console's tests, where it can be had
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
			{ apt-get install -y -q chromium || { apt-get update -q && apt-get install -y -q chromium; }; } >/dev/null 2>&1; } || \
		echo "No Chromium: the console's browser tests will fail. Install one: sudo apt-get install -y chromium" >&2

console: install ## Open the desk in a browser, on http://127.0.0.1:8788
	@$(BIN)/backhaul console

serve: install ## Start the webhook receiver on 127.0.0.1:8787
	@$(BIN)/backhaul serve

clean: ## Remove the environment and every cache
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
