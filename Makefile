# Two commands do everything, set-up included: `make demo` and `make test`. For your own data,
# `make install` sets up alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 7860
# pip shows its bars on a terminal; a log needs neither them nor a line for each package.
PIP_INSTALL := test -t 1 || quiet=-q; \
    $(BIN)/python -m pip install --disable-pip-version-check $$quiet -c constraints.txt

# Nothing here needs a hub or reports home.
export HF_HUB_DISABLE_TELEMETRY = 1
export GRADIO_ANALYTICS_ENABLED = False
export DO_NOT_TRACK = 1

.PHONY: install demo test app format check clean help venv

help:  ## Show this help
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 10

install: $(VENV)/.demo  ## Set up for your own data: everything but the demo and the tests
	@echo "Ready. Next: source $(BIN)/activate, then python -m builder --help"

demo: $(VENV)/.demo  ## Run the whole loop offline: build, publish, review, train, measure
	$(BIN)/python -m builder demo

app: $(VENV)/.demo demo/summary.json  ## Open the review app on the demo's newest version
	$(BIN)/python -m curation_app serve --dataset demo/workspace --port $(PORT)

demo/summary.json:
	$(MAKE) demo

test: check  ## Check format, lint and types, then run the tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.test  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the environment and the demo's output
	rm -rf $(VENV) demo

venv:
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory venv
	@echo "Installing into $(VENV), a minute or two …"
	@$(PIP_INSTALL) -e '.[app,train]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "Installing what the tests need into $(VENV) …"
	@$(PIP_INSTALL) -e '.[app,train,embed,dev]'
	@touch $@
