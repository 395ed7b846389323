# Two commands do everything, set-up included: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 7860

# Nothing here needs a hub or reports home.
export HF_HUB_DISABLE_TELEMETRY = 1
export GRADIO_ANALYTICS_ENABLED = False
export DO_NOT_TRACK = 1

.PHONY: demo test app format check clean help

help:  ## Show this help
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 10

demo: $(VENV)/.demo  ## Run the whole loop offline: build, publish, review, train, measure
	$(BIN)/python -m builder demo

app: $(VENV)/.demo  ## Open the review app on the demo's newest version
	@test -f demo/summary.json || $(MAKE) demo
	$(BIN)/python -m curation_app serve --dataset demo/workspace/releases/0.2.0 \
	    --store demo/reviews.sqlite --port $(PORT)

test: check  ## Check format, lint and types, then run the tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.test  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the environment and the demo's output
	rm -rf $(VENV) demo

$(VENV)/.demo: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q --progress-bar on \
	    -c constraints.txt -e '.[app,train]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --disable-pip-version-check -q --progress-bar on \
	    -c constraints.txt -e '.[app,train,embed,dev]'
	@touch $@
