# The verbs of this repository. Each can be run again cheaply; the scripts in .make
# fetch and build what a verb needs below target/, and keep their output in target/logs.

# The Envoy that is fetched; 1.36 to 1.40 are supported. ENVOY_BIN=… uses one that is there.
export ENVOY_VERSION ?= 1.40.0
# How long each fuzz target runs.
export FUZZ_SECONDS ?= 30
# How often and how long each contender of the benchmark is measured, and for how long sessions come and go.
export BENCH_ROUNDS ?= 5
export BENCH_SECONDS ?= 3
export CHURN_SECONDS ?= 20
# How many random cookies the soak sends.
SOAK_COOKIES ?= 1000000

# Python's caches belong below target/ like everything else that is generated.
export PYTHONPYCACHEPREFIX := $(CURDIR)/target/pycache
python := target/tools/venv/bin/python

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run test smoke soak wasm envoy command bench fuzz lint image release help
.PHONY: quick-lint python python-test demo-auth frontends chromium h2load curl prometheus package-needs release-check bench-needs

run: wasm envoy python demo-auth ## Start the demo: Envoy with the filter, auth service, backend, page; Ctrl-C ends it
	@$(python) envoy/demo/run.py

test: quick-lint wasm envoy command python-test demo-auth frontends chromium h2load curl prometheus image package-needs ## Run every test: Rust, the module in a real Envoy, the demo, browsers, packages
	cargo test --locked --features cli
	$(python) -m pytest -n 2 --dist loadfile -o cache_dir=target/pytest tests
	@echo "make test: everything passed, with Envoy $$(target/tools/envoy --version | sed -nE 's|.*version: [^/]*/([^/]*)/.*|\1|p')"

smoke: wasm envoy python demo-auth ## Bring the demo up, drive its main job once with a transcript, take it down
	@$(python) envoy/demo/smoke.py

soak: wasm envoy python-test ## Flood Envoy with random cookies and watch memory and a known session (SOAK_COOKIES=1000000)
	@$(python) tests/soak/soak.py $(SOAK_COOKIES)

wasm: ## Build the filter: target/session_bearer.wasm
	@.make/wasm.sh

envoy: ## Leave a runnable Envoy at target/tools/envoy (ENVOY_VERSION=1.36.4, ENVOY_BIN=/path/to/envoy)
	@.make/envoy.sh

command: ## Build the command that checks and explains configurations: target/session-bearer
	@.make/command.sh

bench: wasm envoy python-test bench-needs ## Measure side by side, about 15 minutes; writes docs/benchmarks.md (BENCH_ROUNDS=5 BENCH_SECONDS=3 CHURN_SECONDS=20)
	cargo bench --locked --bench request
	@$(python) benches/bench.py

fuzz: ## Run each fuzz target for a bounded time (FUZZ_SECONDS=30)
	@.make/fuzz.sh

lint: ## Check formatting, clippy (native and wasm), documentation and dependencies
	@.make/lint.sh

image: wasm ## Pack the filter as an OCI image: target/image (IMAGE=registry/name:tag pushes it too)
	@.make/image.sh

release: release-check wasm image python-test ## Gather module, image, SBOM, manifests, checksums in target/release-VERSION (FORCE=1 despite changes)
	@.make/release.sh

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quick-lint:
	@.make/lint.sh quick

python:
	@.make/python.sh

python-test:
	@.make/python.sh test

demo-auth:
	@.make/demo-auth.sh

frontends:
	@.make/frontends.sh

chromium:
	@.make/chromium.sh

h2load:
	@.make/h2load.sh

curl:
	@.make/curl.sh

prometheus:
	@.make/prometheus.sh

release-check:
	@.make/release.sh check

package-needs:
	@.make/packages.sh

bench-needs:
	@.make/noop.sh
	@.make/bench.sh
