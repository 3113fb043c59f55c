#!/usr/bin/env bash
# Checks what watches the gateway, and ends with a line that counts the tests: the alert rules by promtool, the
# dashboard's JSON, and then a real Prometheus on a running stack in which things break. There 19 of the 47 alerts
# have to fire for their cause and be quiet before and after it (promtool sees all of them do so, on made-up
# series), and each query of the dashboard has to give data. For that run
# the windows and waits of the rules are a tenth as long.
#
#   PROMETHEUS, PROMTOOL   the programs; else those on the PATH, else Debian's package prometheus
#
# Grafana is not started: of its files only the form is checked.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

need_rust
need_python
own_target_folder "$@"

STEP='[1/4] '
PROMETHEUS=${PROMETHEUS:-prometheus} PROMTOOL=${PROMTOOL:-promtool}
if ! command -v "$PROMETHEUS" >/dev/null || ! command -v "$PROMTOOL" >/dev/null; then
    say "installing prometheus by apt-get, once"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo --non-interactive)
    # At this run level the package starts no service of the machine.
    if ! "${as_root[@]}" apt-get update -q >&2 ||
        ! "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends prometheus >&2; then
        refuse "prometheus and promtool are not installed, and apt-get could not install them." \
            "Install Prometheus 2.40 or later; set PROMETHEUS and PROMTOOL if they are not on the PATH."
    fi
fi
PROMETHEUS=$(command -v "$PROMETHEUS") PROMTOOL=$(command -v "$PROMTOOL")
export PROMETHEUS PROMTOOL
say "prometheus: $PROMETHEUS, promtool: $PROMTOOL"

environment=$cache/observability/$(sha256sum tests/observability/requirements.txt | cut -c 1-16)
if [ ! -f "$environment/ready" ]; then
    say "installing PyYAML from PyPI, once"
    rm -rf "$environment"
    mkdir -p "$(dirname "$environment")"
    python3 -m venv "$environment" >&2 || refuse "Python has no venv." \
        "Install it, for instance: sudo apt-get install python3-venv"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --requirement tests/observability/requirements.txt >&2 || refuse "PyYAML could not be installed from PyPI."
    touch "$environment/ready"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

STEP='[2/4] '
say "the rules by promtool, and the dashboard"
status=0
"$environment/bin/python" tests/manifests/run.py tests/observability | tee "$log" || status=$?
# "7 passed, 0 failed, 1 skipped"
read -r passed failed skipped < <(awk '/ passed, /{ print $1, $3, $5 + 0 }' "$log") || true
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi

STEP='[3/4] '
say "building what the running stack needs"
binaries=$repository/target/run/bin
scripts/build.sh "$binaries"
scripts/build-plugin.sh "$binaries/plugin.wasm"
scripts/build-plugin.sh --crash-on-demand "$binaries/plugin-crash-on-demand.wasm"
ENVOY=$(scripts/envoy.sh)
export ENVOY

STEP='[4/4] '
say "Prometheus on a running stack in which things break (some five minutes)"
read -r -a flags <<<"${CARGO_FLAGS:-}"
status=0
IB_GATEWAY_BIN=$binaries IB_GATEWAY_STACKS=$repository/target/stacks \
    cargo test "${flags[@]}" --workspace --no-fail-fast --test alerts -- --include-ignored --nocapture 2>&1 |
    tee "$log" || status=$?
read -r p f < <(awk '/^test result: /{ p += $4; f += $6 } END { print p + 0, f + 0 }' "$log")
# A suite that crashed has no result line.
if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
passed=$((passed + p)) failed=$((failed + f))
say "$SECONDS s in all"
result="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || result="$result, $skipped skipped"
printf '%s\n' "$result"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
