# The two commands of the README, and the small ones. Each installs what it lacks first.
# PYTHON=python3.12 make demo: with another interpreter. UV_TORCH_BACKEND=cpu: a small torch for Linux without a GPU.
SHELL := bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.DEFAULT_GOAL := help
.PHONY: help demo test lint board constraints retire clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e '.[test,lint]'
	touch $@

demo: $(VENV)/.installed ## simulate, segment, train, predict, score: a board in leaderboard/ and data/submission.csv
	hpa repro
	@sed -n '/^| # /,/^$$/p' leaderboard/README.md
	@echo "board: leaderboard/README.md and leaderboard/board.html; submission: data/submission.csv"

test: $(VENV)/.installed ## all tests
	OMP_NUM_THREADS=1 python -m pytest -n logical --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed ## style and types
	ruff check .
	ruff format --check .
	mypy

board: ## copy the rendered board into README.md
	sed -n '/^| # /,/^$$/p' leaderboard/README.md > .board
	sed -i -e '/<!-- board -->/,/<!-- \/board -->/{//!d}' -e '/<!-- board -->/r .board' README.md
	rm .board

constraints: $(VENV)/.installed ## pin everything anew
	UV_FIND_LINKS= uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-header \
		--no-annotate pyproject.toml -o constraints.txt
	sed -i '1i # One file for CPU and CUDA machines: nvidia lines bind only where torch is a CUDA build. By: make constraints' \
		constraints.txt

retire: ## remove an approach and all it published: make retire NAME=cell_crop
	[[ "$(NAME)" =~ ^[a-z0-9_]+$$ ]] && test -f approaches/$(NAME)/dvc.yaml
	rm -rf approaches/$(NAME) data/{labels,models,predictions,embeddings}/$(NAME) leaderboard/entries/$(NAME).*.json
	@echo "now: hpa repro"

clean: ## remove what the pipeline wrote (DVC's cache stays)
	rm -rf data/images data/truth data/masks data/cells.parquet data/folds.parquet data/crops data/fields data/labels data/models \
		data/predictions data/embeddings data/controls data/blend data/submission.csv
