# Every target makes what it needs in .venv, once: a stamp file remembers that it is there.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
DATA := $(or $(LODEWELL_DATA),../shared/data)
CRYSTALS ?= $(DATA)/crystals
MODULI ?= $(DATA)/properties
SHIPPED := src/lodewell/data
QUICK := $(subst /,.,$(basename benchmarks/reading/cif.py $(wildcard benchmarks/speed/[a-z]*.py)))
DEMO := $(BIN)/lodewell relax examples/candidates --out demo-output --figure

.PHONY: demo predict model test lint docs bench bench-tables tables clean
.DEFAULT_GOAL := demo

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lodewell needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

.venv/.with-core: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing lodewell into .venv (once)"
	$(PIP) -e .
	@touch $@

.venv/.with-test: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing lodewell and its test tools into .venv (once)"
	$(PIP) -e '.[test,cluster]'
	@touch $@ .venv/.with-core

.venv/.with-predict: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing lodewell and torch into .venv (once)"
	$(PIP) -e '.[predict]'
	@touch $@ .venv/.with-core

.venv/.with-docs: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing lodewell and its documentation tools into .venv (once)"
	$(PIP) -e '.[docs,predict]'
	@touch $@ .venv/.with-core

.venv/.with-bench: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing lodewell and the peers it is measured against into .venv (once)"
	$(PIP) -e '.[bench,cluster]'
	@touch $@ .venv/.with-core

## demo: relax and rank the candidate crystals in examples/
demo: .venv/.with-core
	$(DEMO)
	@echo && echo "The table, the relaxed crystals and the figure:" && ls -d demo-output/*

## predict: properties of the candidate crystals in examples/
predict: .venv/.with-predict
	$(BIN)/lodewell predict examples/candidates

## test: run the tests
test: .venv/.with-test
	$(BIN)/python -m pytest

## lint: style and types
lint: .venv/.with-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

## docs: run the tutorials and build the documentation in site/
docs: .venv/.with-docs
	$(BIN)/lodewell warmup
	NO_MKDOCS_2_WARNING=1 COLUMNS=110 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mkdocs build --strict

## bench: run the quick benchmarks one after the other, then write their tables
bench: .venv/.with-bench
	@for script in $(QUICK); do echo "== $$script"; $(BIN)/python -m $$script || exit 1; done
	$(BIN)/python -m benchmarks.tables

## bench-tables: write benchmarks/results/*.json into the README and the documentation
bench-tables: .venv/.with-core
	$(BIN)/python -m benchmarks.tables

## tables: derive the two statistical potentials that are shipped, from CRYSTALS, the energy scale from MODULI
tables: .venv/.with-core
	$(BIN)/lodewell derive $(CRYSTALS) --recipe spp-2024 --out $(SHIPPED)/spp-2024.lodewell
	$(BIN)/lodewell derive $(CRYSTALS) --recipe spp --calibrate $(MODULI) --out $(SHIPPED)/spp.lodewell

## model: train the shipped model of properties from CRYSTALS with properties, and write its card
model: .venv/.with-predict
	$(BIN)/lodewell train benchmarks/predict/properties.yaml --data $(MODULI)/mp.extxyz.gz --out build/model
	cp build/model/model.safetensors $(SHIPPED)/properties.safetensors
	$(BIN)/python -m benchmarks.predict.model_card

clean:
	rm -rf .venv site demo-output .mypy_cache .ruff_cache .pytest_cache
