# `make demo` runs the whole journey, `make test` passes the tests; both install what they need into .venv first.
PYTHON ?= python3
EXTRAS ?= cpu,train,dev
VENV = .venv
PYTEST_ADDOPTS ?=
RUN = $(VENV)/bin/python

.PHONY: install demo test lint pictures start clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: install
	@$(RUN) -m demo.journey

test: install
	$(RUN) -m pytest $(PYTEST_ADDOPTS)

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Render again whichever of the demo's pictures are missing: byte for byte, on the same libraries and processor.
pictures: install
	$(RUN) -m demo.pictures

# Train the shipped starting network again, from shoes rendered for it alone: about an hour and a half on two cores.
START = SOLESEARCH_DATA_DIR=build/start $(VENV)/bin/solesearch
start: install
	$(RUN) -m demo.pictures --models 1100 --first-seed 100000 --views 8 --size 128 --workers 2 --out build/rendered
	$(START) catalogue import build/rendered
	$(START) train sku --recipe training/start/first.toml --val 0 --unseen 0.05 | tee build/first.json
	$(START) train export `$(RUN) -c 'import json; print(json.load(open("build/first.json"))["release"])'` build/first.pt
	$(START) train sku --recipe training/start/second.toml --set start=build/first.pt --unseen 0.05 --val 0 | tee build/second.json
	$(START) train export `$(RUN) -c 'import json; print(json.load(open("build/second.json"))["release"])'` training/start/resnet18.pt

clean:
	rm -rf $(VENV) build *.egg-info
