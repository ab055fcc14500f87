PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
IN_PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install quick train sample compare test test-all faults check format bench bench-quality study studies docs release-check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo '  Overrides go through ARGS, for example: make train ARGS="model=vqvae trainer.max_epochs=3"'

install: $(VENV)/.installed ## create the environment in .venv (about a minute)

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

quick: install ## a first look in half a minute: a VAE of 5,000 images that come with aevq, with images and metrics
	$(BIN)/python -m aevq.train model=vae data=mnist5k debug=quick $(ARGS)

train: install ## train a model (a VAE unless ARGS says otherwise), fit its prior, evaluate, plot
	$(BIN)/python -m aevq.train $(ARGS)

sample: install ## draw new images from a finished run, the latest unless ARGS says otherwise
	$(BIN)/python -m aevq.sample $(ARGS)

compare: install ## put finished runs into one report, the newest sweep unless ARGS names folders
	$(BIN)/python -m aevq.compare $(or $(ARGS),latest)

test: install ## run the tests (minutes)
	$(BIN)/python -m pytest -m "not slow" $(IN_PARALLEL) $(ARGS)

test-all: install ## run the tests and the slow ones
	$(BIN)/python -m pytest $(ARGS)

faults: install ## break things: what is promised, what is seen; faults, bad inputs and hostile files counted (ten minutes)
	$(BIN)/python -m pytest -m "fault or bad_input or hostile" --count-faults $(ARGS)

check: install ## format, lint, types, layers of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## format the code and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

$(VENV)/.peers: $(VENV)/.installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev,bench]'
	@touch $@

bench: $(VENV)/.peers ## measure the speed against bare loops and peers (12 to 20 minutes)
	$(BIN)/python -m experiments.benchmarks.bench $(ARGS)

bench-quality: $(VENV)/.peers ## measure quality over training time, of aevq and a peer (10 minutes)
	$(BIN)/python -m experiments.benchmarks.quality $(ARGS)

study: install ## run a study of experiments/ again: NAME=02_loss; ARGS="--keep" updates its folder
	$(BIN)/python -m experiments.study run $(NAME) $(ARGS)

studies: install ## write the tables and plots of experiments/ and README.md again from the results
	$(BIN)/python -m experiments.study write

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@

docs: $(VENV)/.docs ## build the documentation into docs/_build; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -E -a -q -b html docs docs/_build $(ARGS)
	@echo open docs/_build/index.html

release-check: install ## build wheel and sdist, install the wheel elsewhere, run the tutorial's first page with few steps
	rm -rf dist build/release
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv build/release/venv
	$(BIN)/uv pip install --quiet --python build/release/venv/bin/python --constraint constraints.txt dist/aevq-*.whl
	grep '^python -m aevq' docs/tutorial/first-run.md | sed 's/debug=quick/& trainer.max_steps=20/' > build/release/page.sh
	cd build/release && PATH="$$PWD/venv/bin:$$PATH" sh -ex page.sh

clean: ## remove the environment and the caches; runs and data stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache build dist docs/_build docs/generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
