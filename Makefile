# `make run` and `make test` set up everything they need; both cost nothing to repeat.
# All paths are relative, so that the checkout may stand below a folder with a space in its name.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What telemetry there is in DVC, Prefect, MLflow and Keras stays off.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# Stages run `python`: that of the project.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test check setup lock lock-serve

run: setup
	@python -m pawline.cli.before_run
	@PAWLINE_FIGURES_FOLLOW=1 dvc repro
	@python -m pawline.cli.next_commands

test: setup
	@python -m pytest

check: setup
	@ruff format --check .
	@ruff check .
	@mypy
	@codespell

setup: $(VENV)/.ready

# Made again when the lock changes; the marker is written last, so a broken set-up is tried again. Bytecode is compiled
# once, as pip does by itself: without it every command would spend seconds on it where nothing may be written.
$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pawline: $(PYTHON) is older than Python 3.11; try: make PYTHON=python3.12" >&2; exit 2; }
	@echo "Setting up $(VENV) from requirements.lock (about 3 GB, once) ..."
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV) && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e . ; \
	fi
	@$(BIN)/python -m pawline.workspace.plots_template $(VENV)/plots.html
	@[ -n "$$($(BIN)/dvc config plots.html_template 2>/dev/null)" ] || \
		$(BIN)/dvc config --local plots.html_template ../$(VENV)/plots.html
	@touch $@

COMPILE := uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --no-annotate

# Renews the locks: hashes, no addresses, every platform and Python from 3.11.
lock:
	@$(COMPILE) pyproject.toml --extra dev --upgrade -o requirements.lock
	@$(MAKE) --no-print-directory lock-serve

# The part of requirements.lock that the service needs, in the same versions.
lock-serve:
	@rm -f requirements-serve.lock
	@$(COMPILE) --group pyproject.toml:serve --constraints requirements.lock -o requirements-serve.lock

