#!/usr/bin/env bash
# Runs the blocks of the guides and the examples against stacks of their own, as a reader would, and ends with
# a line that counts:
#     scripts/test-guides.sh guides [PAGE...]
#     scripts/test-guides.sh examples [browser] [python] [rust-cli] [mcp-server]
# What they need is installed from its lock files into the cache, once for each version of them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
cd "$repository"

case "${1:-}" in
guides | examples) ;;
*) refuse "Say what to run: guides or examples." ;;
esac
need_rust
need_python
need_node
own_target_folder "$@"
what=$1
shift

binaries=$repository/target/run/bin
installed=$cache/$what
read -r -a flags <<<"${CARGO_FLAGS:-}"

install_guides() {
    need_program curl curl
    need_program openssl openssl
    install_npm tests/guides/node "$installed/node"
    install_python tests/guides "$installed/venv"
    # It has the dependencies of the page's crate.
    build_cli
}

build_cli() {
    cargo build "${flags[@]}" --manifest-path examples/rust-cli/Cargo.toml \
        --target-dir "$CARGO_TARGET_DIR/clients" >&2
}

install_examples() {
    if [ -z "${CHROMIUM:-}" ]; then
        need_program chromium chromium
        CHROMIUM=$(command -v chromium)
        export CHROMIUM
    fi
    local name
    for name in browser mcp-server test; do
        install_npm "examples/$name" "$installed/$name"
        # JavaScript finds its packages beside its own file.
        find "examples/$name" -maxdepth 1 -type f ! -name 'package*.json' -exec cp -t "$installed/$name" {} +
    done
    install_python examples/python "$installed/python"
    build_cli
}

started=$SECONDS
say "[1/4] the programs"
scripts/build.sh "$binaries"
say "[2/4] the plugin and Envoy"
scripts/build-plugin.sh "$binaries/plugin.wasm"
ENVOY=$(scripts/envoy.sh) && export ENVOY
say "[3/4] what the $what need"
"install_$what"
say "[4/4] the $what"
status=0
case $what in
guides)
    python3 -m unittest --quiet tests/guides/test_pages.py
    # Blocks say `make`, which builds nothing more by now.
    python3 tests/guides/run.py "$binaries" "$installed" "$@" || status=$?
    ;;
examples)
    IB_GATEWAY_STACKS=$repository/target/stacks python3 examples/test/run.py "$binaries" "$installed" \
        "$CARGO_TARGET_DIR/clients/debug/ib-cli" "$@" || status=$?
    ;;
esac
say "$((SECONDS - started)) s in all"
exit "$status"
