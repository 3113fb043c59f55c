#!/usr/bin/env bash
# What `make help` prints: every target, and every variable with its default.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cat <<TEXT
ib-gateway: an Envoy filter and an OAuth 2.0 service in front of IntelligenceBank.
Needs Linux, Rust, Python 3 and a C compiler; everything else is fetched or built on first use.

  make run         start everything, log a demo user in, make one proxied call; Ctrl-C ends it
  make up          the same in the background, without the call
  make down        end what "make up" or "make run" started
  make browser     open Chromium with the simulator's names and CA, on the login page
  make demo-login  log the demo user in at the running stack and print what /token answered
  make test        format, lint, unit tests, end-to-end tests on a real Envoy

  make lint        format, clippy and the documents alone
  make unit        unit tests alone
  make end-to-end  end-to-end tests alone
  make conformance run all tests and write docs/conformance.md of their results
  make test-clients
                   OAuth clients that others wrote (npm, PyPI, crates.io) go through the whole flow
  make test-guides every block of the client guide and its neighbours, as a reader runs them
  make test-examples
                   the example clients; the browser application in a headless Chromium
  make kill-rounds ROUNDS=1000
                   kills the service at random moments under load and checks that nothing is lost
  make test-oldest-envoy
                   the end-to-end tests on the oldest Envoy that is supported (1.36.2)
  make test-browser
                   the login page and the console in a real Chromium (npm; installs Debian's chromium)
  make pictures    write the pictures of the documents, docs/images/
  make test-manifests
                   the manifests for Istio and Envoy Gateway, and the Helm chart
  make test-openapi
                   schemathesis over the OpenAPI documents of a real service
  make test-stores the service's stores on a real redis-server and on a DynamoDB server (moto), which it
                   installs; two instances on each, and their upgrade behind Envoy
  make test-observability
                   the alert rules, the dashboard, and a real Prometheus on a running stack that is broken
  make test-compose
                   docker-compose.yml: builds its images, starts them, tests them from outside, takes instances
                   of the service away under load; installs and starts a Docker engine where none is
  make drill       backup, loss of the store and restore on each engine, with the times
  make deny        licences, banned crates, sources and advisories of every Cargo.lock (cargo-deny)
  make fuzz        fuzz targets, paths, answers and the redactor for a bounded time
  make bench       the filter side by side with what could stand in its place (a quiet machine; ~15 min)
  make bench-flood an honest client beside others who flood at ten times a limit (a quiet machine; ~4 min)
  make bench-store the service with a million grants on its embedded store (a quiet machine; ~4 min)
  make soak        a million requests with a million tokens; Envoy's memory must stay flat
  make schema      write the plugin's JSON schema, the table of its settings, the OpenAPI documents, docs/api.md,
                   and the chart's copy of the alert rules

  make build       the programs, into target/run/bin
  make plugin      the filter, into target/run/bin/plugin.wasm
  make dist        what is handed on of a version, into target/dist: plugin, OCI image, service, manifests,
                   chart, bills of materials, checksums
  make test-dist   a trial of that: checksums, the same bytes again, what is packed runs
  make clean       end the stack and remove target/ (the cache stays)

Variables, as in "make run GATEWAY=127.0.0.1:9000":

  GATEWAY            127.0.0.1:8080   Envoy's listener for clients (plain HTTP)
  ENVOY_ADMIN        127.0.0.1:9901   Envoy's admin interface
  ENVOY_STATS        127.0.0.1:9902   metrics only
  SERVICE_PUBLIC     127.0.0.1:8081   the OAuth service's public port
  SERVICE_INTERNAL   127.0.0.1:8082   its internal port, with /metrics
  SIMULATOR          127.0.0.2:443    simulated IntelligenceBank; port 8443 where 443 cannot be bound
  SIMULATOR_CONTROL  127.0.0.1:8444   its control API
  STAGE              (none)           a stage prefix before every path, such as /dev
  RUN_DIRECTORY      target/run       configuration, secrets, store, logs, process ids
  ENVOY              (found)          the Envoy binary; else the pinned one, else the one on the PATH
  ENVOY_VERSION      1.40.0           the pinned version to fetch (1.40.0 or 1.36.2)
  PROMETHEUS, PROMTOOL
                     (found)          the programs of "make test-observability"; else those on the PATH
  REDIS_SERVER       (found)          the redis-server of "make test-stores"; else the one on the PATH
  GRANTS             2000             how many grants "make drill" has
  DIST_PROFILE       release          "dev" packs the service of "make build", for a trial
  ALLOW_DIRTY        (none)           1 lets "make dist" pack a tree with changes, for a trial
  HELM               (found)          the helm of "make dist" and "make test-manifests"
  ADVISORIES         (skipped)        "required" has "make deny" fail where RustSec cannot be reached
  WASM_TARGET_FROM   (what works)     "toolchain" or "debian": where wasm32-wasip1 comes from
  ROUNDS             1000             how often "make kill-rounds" kills the service
  FUZZ_SECONDS       20               how long "make fuzz" runs each target
  OPENAPI_EXAMPLES   100              requests for each operation and phase of "make test-openapi"
  BENCH_FLAGS        (none)           further options of the three above; --help lists them
  IB_GATEWAY_CRD_SCHEMAS
                     (none)           a folder of schemas of custom resources, for "make test-manifests"
  CHROMIUM           (found)          the browser of "make browser", "make test-browser" and "make test-examples"
  IB_GATEWAY_PICTURES
                     (none)           a folder for pictures of every page, of "make test-browser"
  IB_GATEWAY         http://127.0.0.1:8080
                                      the gateway that "make demo-login", the guides and the examples ask
  IB_GATEWAY_CACHE   $cache
                                      what is fetched or built once
  CARGO_TARGET_DIR   (in the cache)   cargo's target folder, shared by clones
  CARGO_FLAGS        --locked         further options of cargo build, test and clippy
  IB_GATEWAY_KEEP    (none)           1 keeps the folders of test stacks, under target/stacks
TEXT
