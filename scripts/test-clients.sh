#!/usr/bin/env bash
# Runs OAuth clients that others wrote against the gateway, the service and the simulator, and ends with a
# line that counts their steps:
#     scripts/test-clients.sh [oauth4webapi] [mcp-sdk] [mcp-conformance] [authlib] [oauth2-crate]
# What they need is installed from its lock files into the cache, once for each version of them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
cd "$repository"

need_rust
need_python
need_node
own_target_folder "$@"

binaries=$repository/target/run/bin
clients=$repository/tests/clients
installed=$cache/clients

started=$SECONDS
say "[1/4] the programs"
scripts/build.sh "$binaries"
say "[2/4] the plugin and Envoy"
scripts/build-plugin.sh "$binaries/plugin.wasm"
ENVOY=$(scripts/envoy.sh) && export ENVOY
say "[3/4] the clients"
packaged=(oauth4webapi mcp-sdk)
if [ "$(uname -sm)" = "Linux x86_64" ]; then
    packaged+=(mcp-conformance)
else
    say "mcp-conformance is skipped: the Node.js 22 that it needs is packaged for x86-64 Linux alone"
fi
for name in "${packaged[@]}"; do
    install_npm "$clients/$name" "$installed/$name"
done
install_python "$clients/authlib" "$installed/authlib/venv"
read -r -a flags <<<"${CARGO_FLAGS:-}"
cargo build "${flags[@]}" --manifest-path "$clients/oauth2-crate/Cargo.toml" \
    --target-dir "$CARGO_TARGET_DIR/clients" >&2
# JavaScript finds its packages beside its own file.
cp "$clients"/{person.py,steps.mjs} "$installed/"
for name in "${packaged[@]}"; do
    cp "$clients/$name/client.mjs" "$installed/$name/"
done
say "[4/4] their logins"
status=0
IB_GATEWAY_STACKS=$repository/target/stacks python3 "$clients/run.py" "$binaries" "$installed" \
    "$CARGO_TARGET_DIR/clients/debug/ib-gateway-test-oauth2-crate" "$@" || status=$?
say "$((SECONDS - started)) s in all"
exit "$status"
