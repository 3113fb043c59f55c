#!/usr/bin/env bash
# Writes what is generated from the code: docs/plugin-configuration.schema.json and the table in
# docs/configuration.md from the plugin's settings, docs/openapi.json and docs/openapi-internal.json from
# the service's handlers, and docs/api.md from those. The tests fail when one of them differs from the code. The chart's
# copy of the alert rules is made here, too: helm takes no file from outside a chart.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

need_rust
need_python
own_target_folder "$@"
read -r -a flags <<<"${CARGO_FLAGS:-}"
say "writing docs/plugin-configuration.schema.json and the table in docs/configuration.md"
IB_GATEWAY_WRITE_GENERATED=1 cargo test --quiet "${flags[@]}" -p ib-gateway-logic --lib config::tests::generated >&2
say "writing docs/openapi.json and docs/openapi-internal.json"
IB_GATEWAY_WRITE_GENERATED=1 cargo test --quiet "${flags[@]}" -p ib-oauth --lib openapi::tests::generated >&2
say "copying the alert rules into the Helm chart"
cp deploy/observability/rules/*.yml deploy/helm/ib-gateway/rules/
say "writing docs/api.md"
python3 scripts/api_reference.py write
