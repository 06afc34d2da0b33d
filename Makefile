# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REFERENCE := .venv-reference
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: demo test models check bench lock clean

demo: $(VENV)/installed  ## simulate a city, run everything on it, write demo/report.html
	$(BIN)/sojourn demo

test: check $(VENV)/torch $(REFERENCE)/installed  ## rules, types and all tests
	OMP_NUM_THREADS=1 SOJOURN_REFERENCE=$(REFERENCE) SOJOURN_REQUIRE_REFERENCE=1 $(BIN)/pytest -n auto --dist worksteal -q tests

models: $(VENV)/torch  ## install what models need (torch), for `sojourn train`

check: $(VENV)/installed  ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed  ## the measured ratios, side by side with the peers
	$(BIN)/python -m tests.benchmarks

lock:  ## renew the lock files from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url -o requirements.lock
	uv pip compile requirements-torch.in --no-deps --universal --python-version 3.11 --upgrade --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url -o requirements-torch.lock

clean:  ## remove what the other commands made
	rm -rf $(VENV) $(REFERENCE) demo .bench

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# torch comes last and by name alone: pip takes the build that is there for this machine, and all it needs but that is locked.
$(VENV)/torch: requirements-torch.lock $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps -r requirements-torch.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input torch==2.13.0
	touch $@

$(REFERENCE)/installed: pipeline/reference/requirements.txt | $(VENV)/installed
	$(BIN)/sojourn reference install --folder $(REFERENCE)
	touch $@
