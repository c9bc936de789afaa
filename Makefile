# The one door: each target sets up what it needs. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: setup demo test check mutate bench chaos quality case-study schemas locks clean help

# With it set, every process would compile all that it imports anew: 10 s for TensorFlow alone.
unexport PYTHONDONTWRITEBYTECODE

ARGS ?=
# Half of a run waits for real services, and half computes: two overlap well on two cores.
processes ?= 2
python := .venv/bin/python
uv ?= uv
compile := $(uv) pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--python-version 3.11 --no-annotate --no-header

setup: ## make .venv with the pins of locks/ (does nothing when that is done)
	@scripts/setup

demo: setup ## run the whole system and let it show itself; ARGS=--fresh begins anew
	@.venv/bin/tuwen demo $(ARGS)

test: setup ## run all tests; ARGS=tests/unit runs some
	@.venv/bin/pytest --numprocesses $(processes) --dist loadfile $(ARGS)

check: setup ## format, lint, types, import lines
	@.venv/bin/ruff format --check --quiet . || \
		{ echo "make check: the files above: run .venv/bin/ruff format ." >&2; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

mutate: setup ## remove each listed guard, and see a named test fail
	@$(python) -m tests.mutate $(ARGS)

bench: setup ## CPU per post, Kafka to Kafka, exactly once
	@$(python) -m benchmarks $(ARGS)

chaos: setup ## do harm under load, and count what comes out; ARGS='--short kill' does one, briefly
	@$(python) -m tests.chaos $(ARGS)

quality: setup ## train on a real corpus, export, and send its test half through Kafka
	@$(python) -m benchmarks.quality $(ARGS)

case-study: setup ## the five steps by the plain libraries, and what four mistakes cost
	@$(python) -m benchmarks.case_study $(ARGS)

schemas: setup ## write the JSON Schemas anew, after a contract has changed
	@$(python) -P -m schemas.json_schema

locks: ## choose versions anew: pins with hashes and without any address (needs uv)
	@$(compile) --extra train --extra kafka --group dev pyproject.toml -o locks/all.txt
	@$(compile) -c locks/all.txt pyproject.toml -o locks/serving.txt
	@$(python) -P -c "from tuwen.kafka_jars import write_lock; write_lock()"

clean: ## remove .venv, state and caches; what the demo made goes too
	@if [ -x .venv/bin/tuwen ]; then \
		.venv/bin/tuwen demo stop >/dev/null 2>&1; .venv/bin/tuwen kafka stop >/dev/null 2>&1; true; fi
	@rm -rf .venv .tuwen build *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
