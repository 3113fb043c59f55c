#!/usr/bin/env bash
# Runs schemathesis over the OpenAPI documents of both ports of a real service:
#     scripts/test-openapi.sh
# It builds the programs and fetches schemathesis (a Python package) into the cache. OPENAPI_EXAMPLES is how
# many generated requests an operation gets in each phase.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

schemathesis_version=4.32.5
need_python
need_rust
scripts/build.sh target/run/bin

environment=$cache/schemathesis-$schemathesis_version
if [ ! -f "$environment/complete" ]; then
    say "fetching schemathesis $schemathesis_version"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet "schemathesis==$schemathesis_version" >&2
    touch "$environment/complete"
fi
exec "$environment/bin/python" scripts/test_openapi.py "$environment/bin/schemathesis" target/run/bin "${OPENAPI_EXAMPLES:-100}"
