#!/usr/bin/env bash
# A drill of backup and restore on each engine: data, a backup, more changes, the loss of the store, a restore; then
# whether everything is as docs/operations.md says. Prints how long each step took, and ends with a line that counts
# the checks. The servers are started on free loopback ports.
#     scripts/drill.sh [redb] [redis] [dynamodb]
#   GRANTS   how many grants there are (2000; DynamoDB's stand-in gets 15, since it is slow)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"
source scripts/store-servers.sh

[ $# -gt 0 ] || set -- redb redis dynamodb
need_rust
need_python
own_target_folder "$@"
binaries=${IB_GATEWAY_BIN:-$repository/target/run/bin}
STEP='[1/2] '
[ -n "${IB_GATEWAY_BIN:-}" ] || scripts/build.sh "$binaries" --tests
for engine in "$@"; do
    case $engine in
    redb) ;;
    redis)
        REDIS_SERVER=$(redis_server)
        export REDIS_SERVER
        ;;
    dynamodb)
        IB_TEST_MOTO_PYTHON=$(moto_python)
        # Credentials that no account has.
        export IB_TEST_MOTO_PYTHON AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
        ;;
    *) refuse "unknown engine '$engine'; there are redb, redis and dynamodb." ;;
    esac
done
STEP='[2/2] '
say "the drill, on $*"
exec python3 scripts/drill.py "$binaries/ib-oauth" "${GRANTS:-2000}" "$@"
