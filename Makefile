# Every target that needs .venv creates it once. Python 3.10 is preferred: Lava runs on nothing newer.
NEWEST_FIRST := python3.19 python3.18 python3.17 python3.16 python3.15 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(shell for p in python3.10 python3 $(NEWEST_FIRST); do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && exit; done)
ARGS ?=
# Tests that share a compiled network are adjacent; idle workers take tests from the end of the queue.
PARALLEL ?= -n auto --maxprocesses 4 --dist worksteal

# PINNED=1 installs exactly the tools of requirements/, whose hashes are checked.
PINNED ?=

PY := .venv/bin/python
PIP = $(PY) -m pip install --quiet --disable-pip-version-check
PINS = requirements/dev-$$($(PY) -c 'import sys; print("3.%d" % sys.version_info.minor)').txt
FOLDERS := qcompiler ir passes backends
# The install links file by file, so the stamp carries a checksum of the list of files.
FILES := $(sort $(shell find $(FOLDERS) -name '*.py' -o -name '*.html' -o -name '*.css'))
DOCS := .venv/docs-installed
STAMP := .venv/installed-$(shell echo '$(FILES)' | cksum | cut -d' ' -f1)

.PHONY: help install demo test fuzz lint pins sbom docs bench pictures clean
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '%-14s%s\n' "$$target" "$$text"; done

install: $(STAMP) ## Install the package and its development tools into .venv

$(STAMP): pyproject.toml
	@test -x $(PY) || test -n "$(PYTHON)" || { echo 'No Python from 3.10 on is on the PATH: give one with make PYTHON=/path/to/python.'; exit 1; }
	@echo 'Installing into .venv; the first time takes a minute or two.'
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(if $(PINNED),$(PIP) --require-hashes -r $(PINS))
	$(PIP) --config-settings editable_mode=strict --prefer-binary $(if $(PINNED),--no-deps --no-build-isolation) -e '.[dev,loihi]'
	@rm -f .venv/installed-*
	@touch $@

demo: install ## Compile and run the digits network; first results within seconds
	$(PY) examples/digits/demo.py

test: install ## Run the tests; ARGS=... passes options to pytest
	OMP_NUM_THREADS=1 $(PY) -m pytest $(PARALLEL) $(ARGS)

fuzz: install ## Mutated files and models for a minute each, guided by coverage with the extra fuzz
	OMP_NUM_THREADS=1 $(PY) -m tests.support.mutants $(or $(ARGS),0 500)
	OMP_NUM_THREADS=1 $(PY) -m tests.support.fuzz.differential $(or $(ARGS),0 100)
	OMP_NUM_THREADS=1 $(PY) -m tests.support.fuzz.guided 60

lint: install ## Run ruff and mypy
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	cd .venv && bin/python -m mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache -p qcompiler

pins: install ## Pin the development tools again, with hashes, in requirements/
	$(PIP) -e '.[supply]' --config-settings editable_mode=strict
	for version in 3.10 3.13; do echo 'setuptools>=77' | $(PY) -m uv pip compile pyproject.toml - --extra dev --extra loihi --python-version $$version \
		--generate-hashes --no-header --no-annotate --upgrade --quiet -o requirements/dev-$$version.txt || exit 1; done

sbom: install ## Write what the wheel brings along into dist/sbom.cdx.json (CycloneDX)
	$(PIP) -e '.[supply]' --config-settings editable_mode=strict
	rm -rf build/sbom && mkdir -p dist
	$(PY) -m build --wheel --outdir build/sbom/wheel . > build/sbom.log 2>&1 || { cat build/sbom.log; exit 1; }
	$(PY) -m venv --without-pip build/sbom/venv
	$(PY) -m pip --python build/sbom/venv/bin/python install --quiet --disable-pip-version-check build/sbom/wheel/*.whl
	$(PY) -m cyclonedx_py environment build/sbom/venv/bin/python --pyproject pyproject.toml --mc-type library \
		--output-reproducible -o dist/sbom.cdx.json
	@echo 'Wrote dist/sbom.cdx.json.'

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
