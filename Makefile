# Everything that `make test` and `make demo` need is set up here: Python 3.11 or later with venv and pip, and make, suffice.
# The tests of the napari plugin also need an X server without a screen; on Debian and Ubuntu `make test` installs it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready-test
GUI_STAMP := $(VENV)/.ready-gui
WORKERS ?= 2
# one of the sample movies is a sequence of plain files, which can't hold a calibration
DEMO_OPTIONS := --pixel-size-um 0.18 --frame-interval-s 120
# an X server, and what Qt and OpenGL load in it
GUI_PACKAGES := xvfb xauth libegl1 libgl1 libgl1-mesa-dri libopengl0 libdbus-1-3 libfontconfig1 libglib2.0-0 \
	libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 \
	libxcb-xinerama0 libxkbcommon-x11-0
# which Qt: pyqt6, or pyside6 in an environment of its own (`make test-pyside`)
QT_API ?= pyqt6
GUI_EXTRA ?= test-gui
# software rendering: the same pictures on every computer
UNDER_X := QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1 QT_API=$(QT_API) \
	xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24"

.DEFAULT_GOAL := help
.PHONY: help test test-gui test-pyside types lint demo docs clean system-packages

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

# The stamp is younger than what it was made from, or the environment is made anew.
$(STAMP): pyproject.toml setup.py constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no python3 found; install Python 3.11 or give PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: expected Python 3.11 or later, got $$($(PYTHON) -V); give PYTHON=/path/to/python" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

# the demo and the library's own tests do without Qt
$(GUI_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(GUI_EXTRA)]'
	@touch $@

system-packages:
	@if command -v xvfb-run >/dev/null && ldconfig -p | grep -q libxcb-cursor && ldconfig -p | grep -q libEGL; then \
		exit 0; \
	fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "error: the tests of the plugin need an X server without a screen (xvfb-run) and the libraries of Qt;" \
			"install them, or run the other tests: $(BIN)/pytest" >&2; exit 1; \
	fi; \
	as_root=""; test "$$(id -u)" = 0 || as_root="sudo -n"; \
	echo "installing the system packages that the tests of the plugin need: $(GUI_PACKAGES)"; \
	{ $$as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -qq --yes \
		--no-install-recommends $(GUI_PACKAGES) >/dev/null; } || \
		{ echo "error: could not install them; as root: apt-get install $(GUI_PACKAGES)" >&2; exit 1; }

test: $(GUI_STAMP) system-packages ## style, types, import rules and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(WORKERS) -m "not slow"
	$(UNDER_X) $(BIN)/pytest -n $(WORKERS) --dist loadfile tests/napari

test-gui: $(GUI_STAMP) system-packages ## only the tests of the napari plugin
	$(UNDER_X) $(BIN)/pytest -n $(WORKERS) --dist loadfile tests/napari

test-pyside: system-packages ## the same with PySide6, in an environment of its own
	$(MAKE) test-gui VENV=.venv-pyside QT_API=pyside6 GUI_EXTRA=test-gui-pyside

types: $(STAMP) ## types only, of the library and the plugin
	@mkdir -p .mypy_cache/sources && ln -sfn ../../napari_plugin .mypy_cache/sources/migradetect_napari
	$(BIN)/mypy

lint: $(STAMP) ## style, types and import rules only; mends what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(MAKE) --no-print-directory types
	$(BIN)/lint-imports

demo: $(STAMP) ## analyse the sample data and print the table of cells
	rm -rf demo_output
	$(BIN)/migradetect run sample_data/movies --out demo_output $(DEMO_OPTIONS) --cells

docs: $(STAMP) ## the pages as a site, into build/site
	$(BIN)/python workflows/docs/reference_pages.py
	$(BIN)/mkdocs build --strict --clean

clean: ## remove the environments, caches and demo results
	rm -rf $(VENV) .venv-pyside demo_output build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
