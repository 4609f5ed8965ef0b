# What people and CI type. `make help` lists it.

SEEDS ?= 20000
SEED ?=
SCALE ?= 2M

.PHONY: help demo test simulate bench schema docs

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, then sync a small shop to a local endpoint: no server, no account
	cargo build --profile demo --package outflow
	@cargo run --quiet --profile demo --package outflow -- demo

test: ## install what the tests need, then formatting, clippy and every test
	scripts/test-dependencies.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo nextest run --workspace

simulate: ## more seeds of the simulation (SEEDS=20000), or one again (SEED=7)
	SIMULATE_SEEDS=$(SEEDS) SIMULATE_SEED=$(SEED) cargo test --package simulation --test it -- --nocapture

bench: ## measure syncs against plain COPY on a PostgreSQL of its own (SCALE=2M|10M|100M)
	scripts/test-dependencies.sh
	cargo build --profile demo --package outflow --package benches
	@target="$${CARGO_TARGET_DIR:-target}" && "$$target/demo/benches" "$$target/demo/outflow" $(SCALE)
	scripts/bench-mapping.sh

schema: ## write the JSON Schema of project files and the OpenAPI document anew, after a change of their forms
	cargo run --quiet --package outflow -- schema > schema/outflow.schema.json.new
	mv schema/outflow.schema.json.new schema/outflow.schema.json
	cargo run --quiet --package server --example openapi > schema/openapi.json.new
	mv schema/openapi.json.new schema/openapi.json

docs: ## write the pages of destinations anew, after a change of their facts, texts or examples
	cargo build --quiet --package outflow
	@outflow="$${CARGO_TARGET_DIR:-target}/debug/outflow"; pages=docs/destinations; \
	for example in crates/destinations/src/*/example.yaml; do \
		slug=$$(basename "$$(dirname "$$example")"); \
		"$$outflow" destinations show "$$slug" --markdown > "$$pages/new" && mv "$$pages/new" "$$pages/$$slug.md" || exit 1; \
	done; \
	"$$outflow" destinations list --markdown > "$$pages/new" && mv "$$pages/new" "$$pages/README.md"
