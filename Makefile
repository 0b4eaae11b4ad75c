# `make demo` and `make test` need nothing but python3 (3.10 or newer, with venv and headers), a C compiler and make.
# A file in $(VENV) marks each set of packages as installed, so a second run starts at once.
# Without a package index, next to setuptools, Cython and numpy:
#     pip install --no-index --no-build-isolation --no-deps .

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
# Files of tests side by side, each with processes of TensorFlow, JAX and torch beside it: 4 GB a job.
JOBS ?= 2
BASE ?= HEAD~1
HEAD ?= HEAD
K ?=

BIN = $(VENV)/bin
PY = $(BIN)/python
PIP = $(PY) -m pip --disable-pip-version-check --quiet
INSTALL = $(PIP) install --constraint constraints.txt
METADATA = pyproject.toml setup.py constraints.txt
NATIVE = $(wildcard lrcore/*.pyx lrcore/*.pxd lrcore/*.h)
SANITIZED = build/sanitized

.PHONY: help demo test bench bench-compare lint types sanitize portable clean
.NOTPARALLEL:

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.lrcore $(VENV)/.demo  ## install, then run the main job on real data; leaves out/
	$(BIN)/lrcore demo

test: $(VENV)/.lrcore $(VENV)/.test $(VENV)/.peers  ## install what the tests need, then run them all
	$(PY) -m pytest --numprocesses $(JOBS) --dist loadfile

bench: $(VENV)/.lrcore $(VENV)/.bench  ## time everything against its bound and against other libraries
	$(PY) -m bench

# Both are built from git, without a package index, and measured by the later commit's lines.
bench-compare: $(VENV)/.lrcore $(VENV)/.test  ## pytest-benchmark of two commits: make bench-compare BASE=main~1 HEAD=main K=Cosine
	$(PY) -m bench.commits $(BASE) $(HEAD) -k "$(K)"

lint: $(VENV)/.lrcore $(VENV)/.lint  ## formatting, rules and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory types

# What is installed is checked, not the source tree: only there is bindings/ the package lrcore.bindings.
types: $(VENV)/.lrcore $(VENV)/.lint
	@rm -rf build/types
	@$(PY) setup.py --quiet build_py --build-lib build/types
	MYPYPATH=build/types $(BIN)/mypy

# Python itself leaks by design at exit: leaks are looked for in tests/engine, by the memory in use. So that this also
# works here, the sanitizer keeps back only a few MB of freed memory to catch its use.
sanitize: $(VENV)/.lrcore $(VENV)/.test  ## the engine's tests under AddressSanitizer and UBSan
	rm -rf $(SANITIZED)
	LRCORE_SANITIZE=1 $(PIP) install --no-index --no-build-isolation --no-deps --target $(SANITIZED) .
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=4 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	PYTHONPATH=$(SANITIZED) $(BIN)/pytest --capture=sys tests/engine tests/test_golden.py tests/test_curves.py

portable:  ## the same bits on another architecture, by cross-compiling and emulating
	bash tests/portable/run

clean:  ## remove what was built; keeps $(VENV) and out/
	rm -rf build dist *.egg-info lrcore/*.so $(VENV)/.lrcore

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "lrcore needs Python 3.10 or newer: make PYTHON=...")'
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h") \
		and "lrcore compiles an extension and Python.h is missing (on Debian: apt install python3-dev)")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@touch $@

# First and alone: an installer that meets torch only as a dependency may take another build of several GB.
# Elsewhere than on the default index: make TORCH="torch==2.13.0 --index-url ...".
$(VENV)/.torch: $(VENV)/.created
	$(PIP) install $(TORCH)
	@touch $@

$(VENV)/.lrcore: $(VENV)/.torch $(METADATA) $(NATIVE)
	$(INSTALL) setuptools cython numpy
	$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

# Peers of which nothing is used that needs the large packages they ask for (torchvision, opencv, spacy), and below them
# the small packages of fastai's finder.
$(VENV)/.peers: $(METADATA) | $(VENV)/.test
	$(INSTALL) --no-deps timm mmengine torch-lr-finder fastai \
		fastcore fastdownload fastprogress fasttransform plum-dispatch beartype cloudpickle
	@touch $@

$(VENV)/.demo $(VENV)/.test $(VENV)/.bench $(VENV)/.lint: $(VENV)/.%: $(METADATA) | $(VENV)/.lrcore
	$(INSTALL) "lrcore[$*]"
	@touch $@
