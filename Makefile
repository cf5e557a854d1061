# Every target that needs .venv creates it once. Python 3.10 is preferred: Lava runs on nothing newer.
PYTHON ?= $(shell for p in python3.10 python3; do $$p -c '' 2>/dev/null && echo $$p && exit; done; echo python3)
ARGS ?=
# Tests that share a compiled network are adjacent; idle workers take tests from the end of the queue.
PARALLEL ?= -n auto --maxprocesses 4 --dist worksteal

PY := .venv/bin/python
FOLDERS := qcompiler ir passes backends
# The install links file by file, so the stamp carries a checksum of the list of files.
FILES := $(sort $(shell find $(FOLDERS) -name '*.py' -o -name '*.html' -o -name '*.css'))
DOCS := .venv/docs-installed
STAMP := .venv/installed-$(shell echo '$(FILES)' | cksum | cut -d' ' -f1)

.PHONY: help install demo test fuzz lint docs bench pictures clean
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '%-14s%s\n' "$$target" "$$text"; done

install: $(STAMP) ## Install the package and its development tools into .venv

$(STAMP): pyproject.toml
	@echo 'Installing into .venv; the first time takes a minute or two.'
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=strict -e '.[data,dev,loihi]'
	@rm -f .venv/installed-*
	@touch $@

demo: install ## Compile and run the digits network; first results within seconds
	$(PY) examples/digits/demo.py

test: install ## Run the tests; ARGS=... passes options to pytest
	OMP_NUM_THREADS=1 $(PY) -m pytest $(PARALLEL) $(ARGS)

fuzz: install ## Import and load mutated files; ARGS="FIRST COUNT" chooses the seeds
	OMP_NUM_THREADS=1 $(PY) -m tests.support.mutants $(or $(ARGS),0 5000)

lint: install ## Run ruff and mypy
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	cd .venv && bin/python -m mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache -p qcompiler

docs: install $(DOCS) ## Build the documentation into site/; warnings and broken links are errors
	$(PY) -m sphinx --fail-on-warning --keep-going --quiet -b html -d .venv/doctrees docs site
	@echo 'Open site/index.html.'

$(DOCS): pyproject.toml | $(STAMP)
	$(PY) -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=strict -e '.[docs]'
	@touch $@

pictures: install $(DOCS) ## Draw the pictures of the documentation again
	for name in raster window frames slices dataflow; do $(PY) docs/pictures/$$name.py || exit 1; done

bench: install ## Measure compile times and speeds; ARGS=--quick is faster
	$(PY) benchmarks/bench.py $(ARGS)

clean: ## Remove .venv, build products and caches
	rm -rf .venv build dist site *.egg-info examples/digits/build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
