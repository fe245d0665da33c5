# Everything here starts from python3 and make alone. The environment in .venv is made when first needed, and made again
# when requirements.txt or pyproject.toml change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
SOURCES := $(shell find difflab -type f -not -path '*/__pycache__/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help chapters book test test-fast test-torch test-newest assignments weights report card benchmark lint format address clean

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

$(STAMP): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The cache of executed chapters does not notice a change in the package or its weights: drop it then.
_build/.package: $(SOURCES) $(STAMP)
	rm -rf _build/.jupyter_cache
	@mkdir -p _build
	@touch $@

chapters: _build/.package  ## run every chapter alone, as on Colab; what has not changed since it passed is not run again
	$(BIN)/python tests/as_on_colab.py

book: chapters  ## build the book into _build/html, with what the chapters put out in that run
	$(BIN)/jupyter-book build . -W --keep-going
	@echo "The book is at _build/html/index.html"

test: chapters  ## all tests: every chapter alone, then the package
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests

test-fast: $(STAMP)  ## the quick tests only
	$(BIN)/python -m pytest -m "not slow" tests

test-torch: $(STAMP)  ## make test-torch TORCH=2.4.1: the quick tests and four chapters with an older or newer torch
	$(BIN)/python tests/other_torch.py "$(TORCH)"

test-newest:  ## lint, book and test with the newest versions that pyproject.toml allows, in an environment of their own
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --disable-pip-version-check --quiet --upgrade --editable ".[dev]"
	touch .venv-newest/.stamp
	rm -rf _build/.jupyter_cache
	$(MAKE) VENV=.venv-newest lint book test

assignments: $(STAMP)  ## the chapters' sheets for a class: a folder, and a zip for a learning platform
	$(BIN)/difflab classroom release --out _build/assignments

weights: $(STAMP)  ## train every weight file again, in order; goes on where it was stopped
	$(BIN)/difflab train tokenizer
	$(BIN)/difflab train autoencoder --resume
	$(BIN)/difflab train clip --resume
	$(BIN)/difflab train clip --text-only --init runs/clip/clip --steps 1200 --out runs/text --resume
	$(BIN)/difflab train unet --clip runs/text/clip --resume
	$(BIN)/difflab train judge --resume
	$(BIN)/difflab train assemble --autoencoder runs/autoencoder --clip runs/clip --clip runs/text --unet runs/unet --judge runs/judge
	$(BIN)/difflab train pix2pix --resume
	$(BIN)/difflab train inpaint --resume
	$(BIN)/difflab train assemble --pix2pix runs/pix2pix --inpaint runs/inpaint
	$(BIN)/difflab train readers --data free --resume
	$(BIN)/difflab train assemble --readers runs/readers

report: $(STAMP)  ## measure the embedded model and write the report
	$(BIN)/difflab report

card: $(STAMP)  ## draw the picture that other sites show beside a link to the book
	$(BIN)/python book/social_card.py

benchmark: $(STAMP)  ## time difflab beside diffusers' own pipeline, and its start
	$(BIN)/python benchmarks/text_to_image.py
	$(BIN)/python benchmarks/cold_start.py

lint: $(STAMP)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(STAMP)  ## put style right, and strip the notebooks' outputs
	$(BIN)/ruff check --fix .
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb

address: $(STAMP)  ## make address ADDRESS=https://github.com/YOU/NAME: the project's new home, in every file that names it
	$(BIN)/python book/address.py "$(ADDRESS)"

clean:  ## remove what was built, the environment included
	rm -rf $(VENV) .venv-newest _build dist out .pytest_cache .ruff_cache .hypothesis
	find difflab tests -name __pycache__ -prune -exec rm -rf {} +
