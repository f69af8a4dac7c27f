# What people and CI run. `make` lists the targets; what takes more than three lines stands in scripts/ and local/.
SHELL := bash
CACHE := $(or $(ORCH_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kafka-orchestrator)
# Outside the tree: every checkout and `make clean-cache` share one place.
export CARGO_TARGET_DIR ?= $(CACHE)/target
# Cargo judges by times alone whether a build is that of a source: what another checkout built is not taken for ours.
_ := $(shell echo '$(CURDIR)' | cmp -s - '$(CARGO_TARGET_DIR)/checkout' || { mkdir -p '$(CARGO_TARGET_DIR)'; \
	rm -rf '$(CARGO_TARGET_DIR)'/*/.fingerprint/orch-*; echo '$(CURDIR)' > '$(CARGO_TARGET_DIR)/checkout'; })

.PHONY: help demo test generate fmt lint unit examples charts dockerfile it it-kafka it-api e2e e2e-processes e2e-cluster \
	scale bench bench-peers simulate chaos chaos-short planted-bugs cluster-up cluster-down clean-down clean-cache
.DEFAULT_GOAL := help

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## Run the catalogue Objets.json on this machine, then once more with a failure; needs Rust and a C linker
	@scripts/demo.sh

test: ## Everything that this machine can test; ends with a table of what was skipped and how to enable it
	@scripts/test.sh

generate: ## Write what is made from the Rust types: the custom resources and their copy in the chart
	cargo run --locked --quiet -p orch-crds --example generate

fmt: ## Format the Rust sources
	cargo fmt

lint: ## Format, clippy and, where it is installed, shellcheck
	@scripts/lint.sh

unit: ## Tests that need no server
	cargo test --locked --workspace --no-fail-fast

simulate: ## The engine among simulated faults: SEEDS=100000 seeds on all cores, or SEED=n again, exactly; LINES=n of its log
	$(if $(SEED),SEED=$(SEED)) $(if $(LINES),LINES=$(LINES)) SEEDS=$(or $(SEEDS),100000) \
		cargo test --locked --workspace --test sim -- --nocapture whatever_breaks

chaos: ## Operators, workers, broker and API server that fail while runs go on; SEED=n, OBJECTS, FAULTS, KINDS: docs/chaos.md
	@scripts/chaos.sh

chaos-short: ## The same in a minute or two: few objects, the faults that are quick
	@scripts/chaos.sh short

planted-bugs: ## Plant each bug of e2e/planted/ in a copy of the tree, and see it caught; BUGS="name ..." takes some
	@scripts/planted-bugs.sh

examples: ## The tests of what is in Python, and every example file through `orch validate`
	@scripts/examples.sh

charts: ## Lint, golden renders, API schemas and RBAC of both charts
	@scripts/charts.sh

dockerfile: ## Build the final stages of the Dockerfile without a container engine; root, buildah, mmdebstrap
	charts/tests/dockerfile.sh

it: it-kafka it-api ## Tests against real servers: both of the next two

it-kafka: ## Tests against a real broker, and against a secured one
	@scripts/it.sh kafka

it-api: ## Tests against a real Kubernetes API server
	@scripts/it.sh api

e2e: e2e-processes e2e-cluster ## Both of the next two

e2e-processes: ## Operator, workers, broker and API server as processes of this machine
	@scripts/e2e.sh processes

e2e-cluster: ## The charts and pods in a cluster of its own, which is gone afterwards
	@scripts/e2e.sh cluster

scale: ## 100,000 objects in one run, 200 runs at once, 20 of them as large, a killed operator; other sizes by SCALE_OBJECTS, ...
	@scripts/e2e.sh scale

bench: ## How fast runs are, beside a level replay on the same broker; GRAPHS=DIR, ROUNDS, OUT, QUICK=1: bench/README.md
	@scripts/bench.sh

bench-peers: ## Ray, Dask, Celery, Prefect, Airflow and Argo on the same graphs beside ours; GRAPHS=FOLDER of edge lists
	@scripts/bench-peers.sh

cluster-up: ## A cluster and Kafka on this machine: kind where an engine answers, else a real node (root, Debian)
	@local/up.sh

cluster-down: ## Take it away again, and leave nothing
	@local/down.sh

clean-down: ## Prove that nothing is left behind by cluster-down, also when every daemon was killed; no cluster may be up
	@local/tests/clean_down.sh

clean-cache: ## Delete what is slow to make: Rust and Go builds, Kafka's jars, images, the peers of bench-peers
	rm -rf $(foreach part,target node kafka peers rootfs images kube-schemas failed,"$(CACHE)/$(part)")
