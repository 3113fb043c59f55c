#!/usr/bin/env bash
# Runs OAuth clients that others wrote against the gateway, the service and the simulator, and ends with a
# line that counts their steps:
#     scripts/test-clients.sh [oauth4webapi] [mcp-sdk] [authlib] [oauth2-crate]
# What they need is installed from its lock files into the cache, once for each version of them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

need_rust
need_python
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    refuse "Node.js is not installed (no node and npm on the PATH); two of the clients are JavaScript." \
        "Install version 18 or later, for instance: sudo apt-get install nodejs npm"
fi
own_target_folder "$@"

binaries=$repository/target/run/bin
clients=$repository/tests/clients
installed=$cache/clients

# is_new NAME FILE...: whether these files are others than when NAME was installed.
is_new() {
    local name=$1
    shift
    stamp=$(cat "$@" | sha256sum | cut -d ' ' -f 1)
    [ "$(cat "$installed/$name/.installed" 2>/dev/null)" != "$stamp" ]
}

install_npm() {
    local name=$1
    is_new "$name" "$clients/$name/package.json" "$clients/$name/package-lock.json" || return 0
    say "installing $name (npm, once)"
    rm -rf "${installed:?}/$name"
    mkdir -p "$installed/$name"
    cp "$clients/$name"/package{,-lock}.json "$installed/$name/"
    npm ci --prefix "$installed/$name" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    printf '%s' "$stamp" >"$installed/$name/.installed"
}

install_authlib() {
    is_new authlib "$clients/authlib/requirements.txt" || return 0
    say "installing Authlib (PyPI, once)"
    rm -rf "${installed:?}/authlib"
    mkdir -p "$installed/authlib"
    python3 -m venv "$installed/authlib/venv" >&2 || refuse "Python has no venv." \
        "Install it, for instance: sudo apt-get install python3-venv"
    "$installed/authlib/venv/bin/python" -m pip install --quiet --require-hashes \
        --requirement "$clients/authlib/requirements.txt" >&2
    printf '%s' "$stamp" >"$installed/authlib/.installed"
}

started=$SECONDS
say "[1/4] the programs"
scripts/build.sh "$binaries"
say "[2/4] the plugin and Envoy"
scripts/build-plugin.sh "$binaries/plugin.wasm"
ENVOY=$(scripts/envoy.sh) && export ENVOY
say "[3/4] the clients"
install_npm oauth4webapi
install_npm mcp-sdk
install_authlib
read -r -a flags <<<"${CARGO_FLAGS:-}"
cargo build "${flags[@]}" --manifest-path "$clients/oauth2-crate/Cargo.toml" \
    --target-dir "$CARGO_TARGET_DIR/clients" >&2
# JavaScript finds its packages beside its own file.
cp "$clients"/{person.py,steps.mjs} "$installed/"
cp "$clients/oauth4webapi/client.mjs" "$installed/oauth4webapi/"
cp "$clients/mcp-sdk/client.mjs" "$installed/mcp-sdk/"
say "[4/4] their logins"
status=0
IB_GATEWAY_STACKS=$repository/target/stacks python3 "$clients/run.py" "$binaries" "$installed" \
    "$CARGO_TARGET_DIR/clients/debug/ib-gateway-test-oauth2-crate" "$@" || status=$?
say "$((SECONDS - started)) s in all"
exit "$status"
