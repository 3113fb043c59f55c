#!/usr/bin/env bash
# Runs the tests of the service's stores on real servers, and those of an upgrade of two instances on one Redis behind
# a real Envoy, and ends with a line that counts them. The servers are a redis-server ($REDIS_SERVER, else the one on
# the PATH, else Debian's package), and moto, which speaks DynamoDB's protocol, in a virtual environment in the cache.
# The tests start them themselves, on free loopback ports, and end them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$repository/scripts/store-servers.sh"
cd "$repository"

need_rust
command -v python3 >/dev/null || refuse "Python 3 is not installed; it runs moto." \
    "Install it, for instance: sudo apt-get install python3 python3-venv"
own_target_folder "$@"

STEP='[1/4] '
REDIS_SERVER=$(redis_server)
export REDIS_SERVER
say "redis-server: $REDIS_SERVER"
STEP='[2/4] '
IB_TEST_MOTO_PYTHON=$(moto_python)
export IB_TEST_MOTO_PYTHON
say "moto: $IB_TEST_MOTO_PYTHON"
# Credentials that no account has.
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
STEP='[3/4] '
say "tests on these servers, one after the other"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
read -r -a flags <<<"${CARGO_FLAGS:-}"
passed=0 failed=0
# run_ignored WHAT...: a test that needs a server is marked as ignored, so that `cargo test` counts it as one that
# did not run.
run_ignored() {
    local status=0
    cargo test "${flags[@]}" --no-fail-fast "$@" -- --ignored --test-threads 1 2>&1 | tee "$log" || status=$?
    read -r p f < <(awk '/^test result: /{ p += $4; f += $6 } END { print p + 0, f + 0 }' "$log")
    # A suite that crashed has no result line.
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f))
}
run_ignored -p ib-oauth

STEP='[4/4] '
say "an upgrade of two instances on one Redis, behind Envoy"
binaries=$repository/target/run/bin
scripts/build.sh "$binaries" --tests
scripts/build-plugin.sh "$binaries/plugin.wasm"
ENVOY=$(scripts/envoy.sh)
export ENVOY IB_GATEWAY_BIN=$binaries IB_GATEWAY_STACKS=$repository/target/stacks
run_ignored --workspace --test upgrade
say "$SECONDS s in all"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
