# `make demo` runs the whole journey, `make test` passes the tests; both install what they need into .venv first.
PYTHON ?= python3
EXTRAS ?= cpu,train,dev
VENV = .venv
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
	$(RUN) -m pytest

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Render the demo's pictures again, byte for byte.
pictures: install
	$(RUN) -m demo.pictures

# Train the shipped starting network again, from shoes rendered for it alone (about two hours on two cores).
start: install
	$(RUN) -m benchmarks.start_network

clean:
	rm -rf $(VENV) build *.egg-info
