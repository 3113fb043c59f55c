#!/usr/bin/env bash
# Runs the tests of the service's stores on real servers, and ends with a line that counts them: a
# redis-server ($REDIS_SERVER, else the one on the PATH, else Debian's package), and moto, which speaks
# DynamoDB's protocol, in a virtual environment in the cache. The tests start the servers themselves, on
# free loopback ports, and end them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

moto_version=5.2.5

need_rust
command -v python3 >/dev/null || refuse "Python 3 is not installed; it runs moto." \
    "Install it, for instance: sudo apt-get install python3 python3-venv"
own_target_folder "$@"

redis_server() {
    if [ -n "${REDIS_SERVER:-}" ]; then
        command -v "$REDIS_SERVER" || refuse "REDIS_SERVER is '$REDIS_SERVER', which is not a program."
        return
    fi
    if ! command -v redis-server >/dev/null; then
        say "installing redis-server by apt-get, once"
        local as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo --non-interactive)
        # At this run level the package starts no service of the machine.
        if ! "${as_root[@]}" apt-get update -q >&2 ||
            ! "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
                apt-get install -q -y --no-install-recommends redis-server >&2; then
            refuse "redis-server is not installed, and apt-get could not install it." \
                "Install Redis 7 and set REDIS_SERVER to its server, if it is not on the PATH."
        fi
    fi
    command -v redis-server
}

# The Python of a virtual environment that has moto.
moto_python() {
    local folder=$cache/moto/$moto_version
    if ! "$folder/bin/python" -c 'import moto.moto_server.werkzeug_app' >/dev/null 2>&1; then
        say "installing moto $moto_version from PyPI (about 320 MB with what it needs, once)"
        rm -rf "$folder"
        mkdir -p "$(dirname "$folder")"
        python3 -m venv "$folder" >&2 || refuse "Python has no venv." \
            "Install it, for instance: sudo apt-get install python3-venv"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "moto[server]==$moto_version" >&2 ||
            refuse "moto could not be installed from PyPI."
    fi
    printf '%s\n' "$folder/bin/python"
}

STEP='[1/3] '
REDIS_SERVER=$(redis_server)
export REDIS_SERVER
say "redis-server: $REDIS_SERVER"
STEP='[2/3] '
IB_TEST_MOTO_PYTHON=$(moto_python)
export IB_TEST_MOTO_PYTHON
say "moto: $IB_TEST_MOTO_PYTHON"
# Credentials that no account has.
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
STEP='[3/3] '
say "tests on these servers, one after the other"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
read -r -a flags <<<"${CARGO_FLAGS:-}"
status=0
# A test that needs a server is marked as ignored, so that `cargo test` counts it as one that did not run.
cargo test "${flags[@]}" -p ib-oauth --no-fail-fast -- --ignored --test-threads 1 2>&1 | tee "$log" || status=$?
read -r passed failed < <(awk '/^test result: /{ p += $4; f += $6 } END { print p + 0, f + 0 }' "$log")
# A suite that crashed has no result line.
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
say "$SECONDS s in all"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
