# Everything is set up on the way: `make demo` and `make test` work in a fresh clone.
#
#   PYTHON=python3.12 make test      another interpreter (3.11 or newer)
#   make test ARGS="-m 'not slow'"   arguments for pytest
#   make test-kernel TESTBED=DIR     where the test bed keeps kernels and results

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
ARGS ?=
TESTBED ?=

BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-kernel test-kernel-patched libbpf lint format generate bench vscode dist clean

help:
	@echo "make demo    check, compile, ask and simulate an example policy"
	@echo "make test    the whole test suite, with what it needs"
	@echo "make test-kernel  the tests that need the hooks: Debian's kernel and our module, in a VM"
	@echo "make test-kernel-patched  the same on patched kernels, built from source"
	@echo "make libbpf  a libbpf that is new enough for the hooks, where the system's is not"
	@echo "make lint    style, types and the arrows of the architecture"
	@echo "make format  lay out the Python code"
	@echo "make generate  write anew what is made from tables"
	@echo "make bench   the benchmarks"
	@echo "make vscode  the extension for Visual Studio Code, a .vsix in editors/vscode/"
	@echo "make dist    source distribution and wheel, in dist/"
	@echo "make clean   remove what the others made"

# A stamp says that the extras of pyproject.toml, as it now is, are installed.
$(VENV)/.installed-%: pyproject.toml tools/setup-venv.sh
	@PYTHON="$(PYTHON)" sh tools/setup-venv.sh "$(VENV)" "$*"
	@touch $@

demo: $(VENV)/.installed-test
	@PATH="$(abspath $(BIN)):$$PATH" sh tools/demo.sh

test: $(VENV)/.installed-dev
	@sh tools/setup-system.sh
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

# testbed/README.md tells what these need and where they keep it.
test-kernel: $(VENV)/.installed-dev
	@POLICYC_PYTHON="$(abspath $(BIN))/python" testbed/stock $(TESTBED) -- $(ARGS)

test-kernel-patched: $(VENV)/.installed-dev
	@POLICYC_PYTHON="$(abspath $(BIN))/python" testbed/patched $(TESTBED) -- $(ARGS)

libbpf:
	@tools/build-libbpf.sh

lint: $(VENV)/.installed-lint $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/.installed-lint
	$(BIN)/python tools/generate_requests.py
	$(BIN)/python tools/make_reference.py
	$(BIN)/python tools/make_trace.py
	$(BIN)/python tools/make_editor_grammar.py
	$(BIN)/ruff format -q policyc/runtime

bench: $(VENV)/.installed-dev
	@sh tools/setup-system.sh
	@for benchmark in benchmarks/bench_*.py benchmarks/model_*.py; do \
		echo "== $$benchmark"; $(BIN)/python "$$benchmark" || exit; \
	done

vscode:
	@command -v npm >/dev/null || { echo "npm is missing; it comes with Node.js 20 or newer" >&2; exit 3; }
	cd editors/vscode && npm ci --ignore-scripts --no-audit --no-fund && npm run package

dist: $(VENV)/.installed-dev
	$(BIN)/hatchling build

clean:
	rm -rf editors/vscode/node_modules editors/vscode/dist
	rm -f editors/vscode/LICENSE editors/vscode/*.vsix
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
