# Each target works as the first command on a bare Debian 12 machine with Rust.

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
ARGS ?=
# What a normal build leaves out.
OTHER_WORKSPACES = benches/engine fuzz

.DEFAULT_GOAL := help
.PHONY: help run test bench lint fmt fuzz-smoke fuzz-api setup

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and start everything on this host (ARGS="--listen …" is passed on)
	@scripts/setup.sh build
	$(CARGO) build --release --locked -p picket
	@scripts/as-root.sh $(TARGET_DIR)/release/picket up $(ARGS)

test: ## every test: unit, documentation, rules, and end to end on the real kernel
	@scripts/setup.sh test
	@scripts/test.sh $(ARGS)

bench: ## the cost of an event, memory, and lost events, as a table
	@scripts/setup.sh build
	@scripts/bench.sh $(ARGS)

lint: ## formatting and clippy, without a warning
	@scripts/setup.sh build
	$(CARGO) fmt --all --check
	@for other in $(OTHER_WORKSPACES); do \
		set -x; $(CARGO) fmt --check --manifest-path $$other/Cargo.toml || exit 1; \
	done
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --locked --manifest-path benches/engine/Cargo.toml --target-dir $(TARGET_DIR) -- -D warnings

fmt: ## format the Rust code
	$(CARGO) fmt --all
	@for other in $(OTHER_WORKSPACES); do $(CARGO) fmt --manifest-path $$other/Cargo.toml; done

fuzz-smoke: ## build every fuzz target and run each for a few seconds
	@scripts/setup.sh test
	@scripts/fuzz-smoke.sh

fuzz-api: ## throw generated requests at the API (schemathesis, from PyPI)
	@scripts/setup.sh build
	@scripts/fuzz-api.sh

setup: ## install the Debian packages that building and testing need
	@scripts/setup.sh test
