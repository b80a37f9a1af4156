# One command to run the study, one to run every check. `make help` lists all targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# CPUs for the workflow and the tests: all that this process may use, in a container its quota.
CORES ?= $(shell $(BIN)/python -c 'import joblib; print(joblib.cpu_count())')
# Another configuration than config.yaml, such as config/smoke.yaml.
CONFIG ?=

# An environment carries a stamp that is named after what its locks hold, and pyproject.toml, by
# which this project is installed: an edit of them asks for a new one, a checkout that only touches
# the files does not.
checksum = $(firstword $(shell cat $(1) | cksum))
RUN_LOCKS := pyproject.toml envs/requirements.txt envs/requirements-cuda.txt
DEV_LOCKS := $(RUN_LOCKS) envs/requirements-dev.txt
PEER_LOCKS := $(DEV_LOCKS) tests/peers/requirements.txt
REAL_LOCKS := $(DEV_LOCKS) tests/real/requirements.txt
RUN_READY := $(VENV)/ready-run-$(call checksum,$(RUN_LOCKS))
DEV_READY := $(VENV)/ready-dev-$(call checksum,$(DEV_LOCKS))
PEERS := .venv-peers
PEERS_READY := $(PEERS)/ready-$(call checksum,$(PEER_LOCKS))
REAL := .venv-real
REAL_READY := $(REAL)/ready-$(call checksum,$(REAL_LOCKS))

# As in an activated environment: jobs find its python. With bytecode kept, Python starts twice as
# fast from the second time on.
IN_ENV := PATH="$(CURDIR)/$(BIN):$$PATH"
unexport PYTHONDONTWRITEBYTECODE

# What was typed, as one word of the shell: neither make nor the shell reads anything in it.
quoted = '$(subst ','\'',$(value $(1)))'
unexport CONFIG
unexport OPTIONS

# What a run on this machine is started with.
GIVEN = --cores $(CORES) $(if $(value CONFIG),--configfile $(call quoted,CONFIG))

# It shows the progress and ends with the path of the report.
WORKFLOW = $(IN_ENV) snakemake $(GIVEN)

.DEFAULT_GOAL := help
# The checks follow one another, so that pytest's summary stands last.
.NOTPARALLEL:
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo
	@echo 'Variables: PYTHON=python3 (3.11 or later), CORES=<all>, CONFIG=config/smoke.yaml'

.PHONY: run
run: $(RUN_READY) ## run the study and print the path of its report
	@$(WORKFLOW)

.PHONY: resume
resume: $(RUN_READY) ## go on after a crash; OPTIONS=--cancel cancels jobs that were left behind
	@$(IN_ENV) python -m perturb resume $(OPTIONS) $(if $(value CONFIG),$(if $(findstring --profile,$(OPTIONS))$(findstring --executor,$(OPTIONS)),--configfile $(call quoted,CONFIG),$(GIVEN)))

.PHONY: status
status: $(RUN_READY) ## how far the study is, from what its shards say
	@$(IN_ENV) python -m perturb status $(if $(value CONFIG),--configfile $(call quoted,CONFIG))

.PHONY: cost
cost: $(RUN_READY) ## what the study takes, before it is run
	@$(IN_ENV) python -m perturb cost $(if $(value CONFIG),--configfile $(call quoted,CONFIG))

# ---------------------------------------------------------------------------------------- checks

CHECKS := check-format check-lint check-types check-snakefmt check-workflow test-peers check-tests

.PHONY: test
test: python-version system-packages $(DEV_READY) ## run the checks, all of them even if one fails
	@$(MAKE) --no-print-directory --keep-going $(CHECKS) || \
	  { echo 'Not every check passed: look for *** above.' >&2; exit 1; }

.PHONY: $(CHECKS)
check-format: $(DEV_READY)
	$(BIN)/ruff format --check
check-lint: $(DEV_READY)
	$(BIN)/ruff check
check-types: $(DEV_READY)
	$(BIN)/mypy
check-snakefmt: $(DEV_READY)
	$(BIN)/snakefmt --check Snakefile rules
check-workflow: $(DEV_READY)
	$(IN_ENV) snakemake --lint
# One worker more than cores: tests of whole runs and of clusters wait much of their time.
check-tests: $(DEV_READY)
	$(IN_ENV) OMP_NUM_THREADS=1 PYTEST_XDIST_AUTO_NUM_WORKERS=$$(($(CORES) + 1)) \
	  pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder -m 'not exhaustive'

.PHONY: test-exhaustive
test-exhaustive: system-packages $(DEV_READY) ## run the further cases of faults that `test` leaves out
	$(IN_ENV) OMP_NUM_THREADS=1 PYTEST_XDIST_AUTO_NUM_WORKERS=$(CORES) \
	  pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder -m exhaustive

.PHONY: test-peers
test-peers: $(PEERS_READY) ## hold the perturbations against implementations by others
	OMP_NUM_THREADS=1 PYTEST_XDIST_AUTO_NUM_WORKERS=$(CORES) \
	  $(PEERS)/bin/python -m pytest -W default -n auto --maxprocesses 8 tests/peers

.PHONY: test-real
test-real: $(REAL_READY) ## evaluate published weights on photographs; fetches 62 MB of both
	$(REAL)/bin/python -m pytest -W default -s tests/real

.PHONY: bench-peers
bench-peers: $(PEERS_READY) ## time the corruptions against implementations by others
	OMP_NUM_THREADS=1 $(PEERS)/bin/python -W ignore -m benchmarks.corruptions --peers

.PHONY: format
format: $(DEV_READY) ## format the code and mend what the linter can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/snakefmt Snakefile rules

.PHONY: docs
docs: $(DEV_READY) ## build the documentation and print the path of its first page
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs . docs/_build/html
	@echo 'The documentation: $(CURDIR)/docs/_build/html/docs/index.html'

# ----------------------------------------------------------------------------------- environment

.PHONY: env
env: $(RUN_READY) ## build the environment that `run` uses

.PHONY: env-dev
env-dev: $(DEV_READY) ## build the environment that the checks use

.PHONY: lock
lock: $(DEV_READY) ## resolve the locks anew; OPTIONS=--upgrade renews all versions
	$(BIN)/python -m envs.lock $(OPTIONS)

# This folder: its package, its command and its plugin of Snakemake.
INSTALL_PROJECT = $(BIN)/python -m pip install --quiet --no-index --no-deps \
  --no-build-isolation --editable .
PURELIB := 'import sysconfig; print(sysconfig.get_path("purelib"))'

# Built from nothing whenever its stamp is missing: it then holds what the lock says and no more, and
# nothing that a killed installation left half written.
$(RUN_READY): | python-version
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m envs.install envs/requirements.txt
	$(INSTALL_PROJECT)
	@touch $@

# The run's stamp is away meanwhile: if this is killed, the environment is built from nothing.
$(DEV_READY): | $(RUN_READY)
	@rm -f $(RUN_READY) $(VENV)/ready-dev-*
	@status=0; $(BIN)/python -m envs.install envs/requirements.txt envs/requirements-dev.txt && \
	  $(INSTALL_PROJECT) || status=$$?; touch $(RUN_READY); exit $$status
	@touch $@

# Laid over the environment of the checks: they hold what is theirs alone, and share torch.
$(PEERS_READY): | $(DEV_READY) peer-packages
	@$(MAKE) --no-print-directory overlay OVERLAY=$(PEERS)
	$(PEERS)/bin/python -m envs.install tests/peers/requirements.txt
	@touch $@

$(REAL_READY): | $(DEV_READY)
	@$(MAKE) --no-print-directory overlay OVERLAY=$(REAL)
	$(REAL)/bin/python -m envs.install tests/real/requirements.txt
	@touch $@

.PHONY: overlay
overlay:
	rm -rf $(OVERLAY)
	$(BIN)/python -m venv --without-pip $(OVERLAY)
	$(BIN)/python -c $(PURELIB) > "$$($(OVERLAY)/bin/python -c $(PURELIB))/below.pth"

.PHONY: python-version
python-version:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "$(PYTHON) is Python %d.%d; 3.11 or later is needed: make PYTHON=..." % sys.version_info[:2])'

.PHONY: system-packages
system-packages:
	@$(PYTHON) -m envs.system venv browser slurm munge

.PHONY: peer-packages
peer-packages:
	@$(PYTHON) -m envs.system magick

# --------------------------------------------------------------------------------------- cleaning

.PHONY: clean
clean: ## remove the environments and the tools' caches
	rm -rf $(VENV) $(PEERS) $(REAL) .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

.PHONY: clean-results
clean-results: ## remove what the workflow made
	rm -rf results .snakemake
