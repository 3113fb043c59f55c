#!/usr/bin/env bash
# Builds the filter for wasm32-wasip1 and copies it to the given file:
#     scripts/build-plugin.sh target/run/bin/plugin.wasm
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 1 ] || refuse "usage: scripts/build-plugin.sh FILE"
need_rust
own_target_folder "$@"
mkdir -p "$(dirname "$1")"
output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$repository"

way=$(scripts/wasm-target.sh)
# A target folder of its own: its flags never throw the host's artefacts away.
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/plugin-$way
read -r -a flags <<<"${CARGO_FLAGS:-}"
build=(build "${flags[@]}" --package ib-gateway-filter --target wasm32-wasip1 --profile plugin)

say "building the plugin (Rust from: $way)"
case $way in
toolchain)
    cargo "${build[@]}" >&2
    ;;
debian)
    # Debian has the standard library's sources only: it is compiled along, which a stable Rust does
    # only by RUSTC_BOOTSTRAP. Debian's libc stands in for the one that rustup's target brings.
    # proxy-wasm exports `_initialize` itself, so no start file is linked.
    linker=$(scripts/wasm-linker.sh)
    PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_WASM32_WASIP1_LINKER=$linker \
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -L/usr/lib/wasm32-wasi" \
        cargo "${build[@]}" -Z build-std=std,panic_abort >&2
    ;;
esac

install_file "$CARGO_TARGET_DIR/wasm32-wasip1/plugin/ib_gateway_filter.wasm" "$output"
say "plugin: $output ($(stat -c %s "$output") bytes)"
