# nearcached: `make` prints what there is. Everything is one command away from a bare machine.
BUILD ?= build
JOBS  ?= $(shell nproc)
SEEDS ?= 20000
# Seconds per fuzz target.
FUZZ_SECONDS ?= 60
SOAK_MINUTES ?= 30
# Arguments for `make run` (the daemon), `make e2e` (tests/e2e/run.py) and `make bench`.
ARGS ?=

CMAKE_FLAGS := $(if $(shell command -v ccache),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

.DEFAULT_GOAL := help
.PHONY: help deps build run test unit sim mutation fuzz e2e clients soak bench lint format check image e2e-container clean \
        configure all-targets

help: ## this list
	@echo "nearcached, a caching sidecar for Redis"
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Variables: BUILD=build JOBS=$(JOBS) SEEDS=$(SEEDS) FUZZ_SECONDS=$(FUZZ_SECONDS) SOAK_MINUTES=$(SOAK_MINUTES) ARGS=..."

deps: ## install what building, running and testing need (apt; root or sudo)
	@scripts/deps test

configure:
	@scripts/deps build
	@mkdir -p $(BUILD)
	@cmake -S . -B $(BUILD) $(CMAKE_FLAGS) >$(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }

build: configure ## build the daemon: build/nearcached
	@cmake --build $(BUILD) -j $(JOBS) --target nearcached

all-targets: configure
	@cmake --build $(BUILD) -j $(JOBS)

run: build ## dependencies, build, a local Redis if none is configured, the daemon in front of it
	@scripts/deps run
	@BUILD=$(BUILD) scripts/run $(ARGS)

test: ## dependencies, build, unit tests, simulator smoke, quick end-to-end tests
	@scripts/deps test
	@$(MAKE) --no-print-directory all-targets
	@BUILD=$(BUILD) scripts/test unit sim e2e-quick

unit: deps all-targets ## unit tests only
	@BUILD=$(BUILD) scripts/test unit

sim: deps all-targets ## simulator: SEEDS=20000 random worlds
	@$(BUILD)/nearcached_sim --seeds $(SEEDS)

mutation: deps ## takes out one rule of the coherence contract at a time: a test must notice
	@tests/mutation/run.py $(ARGS)

fuzz: ## libFuzzer targets, FUZZ_SECONDS=60 each (clang)
	@scripts/deps lint
	@scripts/fuzz $(FUZZ_SECONDS)

e2e: deps all-targets ## all end-to-end tests, with a real Redis and real clients; ARGS="-k PATTERN"
	@NEARCACHED_BIN=$(abspath $(BUILD))/nearcached tests/e2e/run.py $(ARGS)

clients: ## further real clients and frameworks: PHP, Ruby, Perl, Lua, Go, C, Django, Celery …
	@scripts/deps clients
	@$(MAKE) --no-print-directory all-targets
	@NEARCACHED_BIN=$(abspath $(BUILD))/nearcached tests/e2e/run.py -k '^(languages|frameworks):'

soak: deps all-targets ## 2,000 connections come and go for SOAK_MINUTES=30: memory and descriptors stay flat
	@NEARCACHED_BIN=$(abspath $(BUILD))/nearcached tests/soak/run.py --minutes $(SOAK_MINUTES) $(ARGS)

bench: ## side by side with redis-server and nutcracker; ARGS=... go to tests/bench/run.py
	@scripts/deps bench
	@$(MAKE) --no-print-directory all-targets
	@NEARCACHED_BIN=$(abspath $(BUILD))/nearcached tests/bench/run.py $(ARGS)

lint: ## format, clang-tidy on what changed, who may include whom, no test forgotten
	@scripts/deps lint
	@BUILD=$(BUILD) tests/lint/run

format: ## rewrite the sources with clang-format
	@scripts/deps lint
	@tests/lint/format --fix

check: ## what a change must pass: lint, unit, simulator, all end-to-end tests
	@scripts/deps test lint
	@$(MAKE) --no-print-directory all-targets
	@BUILD=$(BUILD) tests/lint/run
	@BUILD=$(BUILD) scripts/test unit selftest sim e2e

image: ## build the container image
	@scripts/container/image

e2e-container: ## image, Compose stack and Kubernetes pod, really run
	@scripts/container/e2e

clean: ## remove what was built
	@rm -rf $(BUILD) $(BUILD)-*
