# Every target makes .venv first, once. Python 3.10 is preferred: Lava runs on nothing newer.
PYTHON ?= $(shell for p in python3.10 python3; do $$p -c '' 2>/dev/null && echo $$p && exit; done; echo python3)
ARGS ?=
# Tests that share a compiled network stand together: idle workers take over tests from the end.
PARALLEL ?= -n auto --maxprocesses 4 --dist worksteal

PY := .venv/bin/python
FOLDERS := qcompiler ir passes backends
# The install links file by file, so the stamp carries a checksum of the list of files.
FILES := $(sort $(shell find $(FOLDERS) -name '*.py'))
DOCS := .venv/docs-installed
STAMP := .venv/installed-$(shell echo '$(FILES)' | cksum | cut -d' ' -f1)

.PHONY: install demo test lint docs bench pictures clean

install: $(STAMP)

$(STAMP): pyproject.toml
	@echo 'Installing into .venv; the first time takes a minute or two.'
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=strict -e '.[dev,loihi]'
	@rm -f .venv/installed-*
	@touch $@

demo: install
	$(PY) examples/digits/demo.py

test: install
	OMP_NUM_THREADS=1 $(PY) -m pytest $(PARALLEL) $(ARGS)

lint: install
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	cd .venv && bin/python -m mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache -p qcompiler

docs: install $(DOCS) ## build the documentation into site/; warnings and broken links are errors
	$(PY) -m sphinx --fail-on-warning --keep-going --quiet -b html -d .venv/doctrees docs site
	@echo 'Open site/index.html.'

$(DOCS): pyproject.toml | $(STAMP)
	$(PY) -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=strict -e '.[docs]'
	@touch $@

bench: install
	$(PY) benchmarks/bench.py $(ARGS)

pictures: install $(DOCS) ## draw the pictures of the documentation again
	for name in raster window frames slices dataflow; do $(PY) docs/pictures/$$name.py || exit 1; done

clean:
	rm -rf .venv build dist site *.egg-info examples/digits/build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
