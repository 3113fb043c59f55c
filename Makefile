# `make` alone explains itself. The work is in scripts/ and in tests/stack.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

IB_GATEWAY_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ib-gateway
CARGO_FLAGS ?= --locked
RUN_DIRECTORY ?= target/run
# Seconds for each target.
FUZZ_SECONDS ?= 20
# How often the service is killed.
ROUNDS ?= 1000
export IB_GATEWAY_CACHE CARGO_FLAGS RUN_DIRECTORY

# The other variables of `make help` reach the programs by the environment, which have the defaults.
binaries := target/run/bin

.PHONY: help
help:
	@scripts/help.sh

.PHONY: run up down browser
run up: programs-and-plugin
	@export ENVOY="$$(STEP='[3/3] ' scripts/envoy.sh)"; exec $(binaries)/ib-stack $@
.PHONY: programs-and-plugin
programs-and-plugin:
	@STEP='[1/3] ' scripts/build.sh $(binaries)
	@STEP='[2/3] ' scripts/build-plugin.sh $(binaries)/plugin.wasm
# What was never built was never started.
down:
	@if [ -x $(binaries)/ib-stack ]; then exec $(binaries)/ib-stack down; else echo "no stack is up"; fi
browser: build
	@exec $(binaries)/ib-stack browser

# A token of the demo user, from the stack of "make up".
.PHONY: demo-login
demo-login:
	@python3 scripts/demo-login.py

.PHONY: test lint unit end-to-end
test:
	@scripts/test.sh
lint:
	@scripts/test.sh lint
unit:
	@scripts/test.sh unit
end-to-end:
	@scripts/test.sh end-to-end

# docs/conformance.md, from the results of all tests.
.PHONY: conformance
conformance:
	@scripts/test.sh conformance

# Clients that others wrote go through the whole flow.
.PHONY: test-clients
test-clients:
	@scripts/test-clients.sh

# The guides' blocks and the examples, as a reader runs them.
.PHONY: test-guides test-examples
test-guides:
	@scripts/test-guides.sh guides
test-examples:
	@scripts/test-guides.sh examples

# Measured in rounds: the end-to-end tests run a few of them.
.PHONY: kill-rounds
kill-rounds:
	@IB_GATEWAY_KILL_ROUNDS=$(ROUNDS) scripts/test.sh kill-rounds

# The oldest Envoy that is supported runs the same end-to-end tests.
.PHONY: test-oldest-envoy
test-oldest-envoy:
	@ENVOY_VERSION=1.36.2 scripts/test.sh end-to-end
# The manifests for Kubernetes and the Helm chart.
.PHONY: test-manifests
test-manifests:
	@scripts/test-manifests.sh
# The login page and the console in a real Chromium; `pictures` also writes those of the documents.
.PHONY: test-browser pictures
test-browser:
	@scripts/test-browser.sh
pictures:
	@scripts/pictures.sh
.PHONY: test-openapi
test-openapi:
	@scripts/test-openapi.sh
# The stores on a real redis-server and on a server that speaks DynamoDB's protocol.
.PHONY: test-stores
test-stores:
	@scripts/test-stores.sh
# The alert rules and the dashboard, by a real Prometheus.
.PHONY: test-observability
test-observability:
	@scripts/test-observability.sh
# docker-compose.yml: its images, its containers, two instances of the service under load.
.PHONY: test-compose
test-compose:
	@scripts/test-compose.sh
# Backup, loss of the store and restore, on each engine.
.PHONY: drill
drill:
	@scripts/drill.sh
# What is handed on of a version, in target/dist; and a trial of it.
.PHONY: dist test-dist
dist:
	@scripts/dist.sh
test-dist:
	@scripts/test-dist.sh
# Licences, banned crates, sources and known vulnerabilities of every Cargo.lock.
.PHONY: deny
deny:
	@scripts/deny.sh
.PHONY: fuzz
fuzz:
	@scripts/fuzz.sh $(FUZZ_SECONDS)
.PHONY: schema
schema:
	@scripts/schema.sh

# Measurements: of their own, since they want a quiet machine.
.PHONY: bench bench-flood bench-store soak
bench-flood:
	@bench/run.sh flood $(BENCH_FLAGS)
bench-store:
	@bench/run.sh store $(BENCH_FLAGS)
bench:
	@bench/run.sh compare $(BENCH_FLAGS)
soak:
	@bench/run.sh soak $(BENCH_FLAGS)

.PHONY: build plugin clean
build:
	@scripts/build.sh $(binaries)
plugin:
	@scripts/build-plugin.sh $(binaries)/plugin.wasm
clean: down
	@rm -rf target
	@echo "removed target/; the cache stays: $(IB_GATEWAY_CACHE)"
