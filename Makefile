# What people and CI type. `make help` lists it.

SEEDS ?= 20000
SCALE ?= 2M

.PHONY: help demo test simulate bench schema

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, then sync a small shop to a local endpoint: no server, no account
	cargo build --profile demo --package outflow
	@cargo run --quiet --profile demo --package outflow -- demo

test: ## install what the tests need, then formatting, clippy and every test
	scripts/test-dependencies.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo nextest run --workspace

