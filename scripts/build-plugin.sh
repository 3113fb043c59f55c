#!/usr/bin/env bash
# Builds the filter for wasm32-wasip1 and links it to the given file:
#     scripts/build-plugin.sh target/run/bin/plugin.wasm
# For the tests, a plugin that a request can crash (header x-ib-gateway-crash). Never deploy it:
#     scripts/build-plugin.sh --crash-on-demand target/run/bin/plugin-crash-on-demand.wasm
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

features=()
arguments=("$@")
if [ "${1:-}" = --crash-on-demand ]; then
    features=(--features crash-on-demand)
    shift
fi
[ $# -eq 1 ] || refuse "usage: scripts/build-plugin.sh [--crash-on-demand] FILE"
need_rust
own_target_folder "${arguments[@]}"
mkdir -p "$(dirname "$1")"
output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$repository"

way=$(scripts/wasm-target.sh)
read -r -a flags <<<"${CARGO_FLAGS:-}"
tools=$CARGO_TARGET_DIR
cargo build "${flags[@]}" --quiet --package ib-plugin-link >&2
# A target folder of its own: its flags never throw the host's artefacts away.
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/plugin-$way
export CARGO_TARGET_WASM32_WASIP1_LINKER=$repository/scripts/plugin-linker.sh
# Vector instructions search bodies several times as fast; V8 has them in every Envoy that is supported.
# Copies are done in the module: V8 leaves its own code for `memory.copy`, which costs more than the
# few bytes that are copied at a time.
rust_flags="-Ctarget-feature=+simd128,-bulk-memory,-bulk-memory-opt"
# Where it was built is not in the plugin: the same sources give the same bytes.
rust_flags+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$repository=/ib-gateway"
build=(build "${flags[@]}" --package ib-gateway-filter --target wasm32-wasip1 --profile plugin
    "${features[@]}")

say "building the plugin (Rust from: $way)${features[1]:+, with ${features[1]}}"
case $way in
toolchain)
    CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$rust_flags cargo "${build[@]}" >&2
    ;;
debian)
    # Debian has the standard library's sources only: it is compiled along, which a stable Rust does
    # only by RUSTC_BOOTSTRAP. Debian's libc stands in for the one that rustup's target brings.
    # proxy-wasm exports `_initialize` itself, so no start file is linked.
    linker=$(scripts/wasm-linker.sh)
    IB_GATEWAY_WASM_LINKER=$linker PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$rust_flags -Clink-self-contained=no -L/usr/lib/wasm32-wasi" \
        cargo "${build[@]}" -Z build-std=std,panic_abort >&2
    ;;
esac

"$tools/debug/ib-plugin-link" \
    "$CARGO_TARGET_DIR/wasm32-wasip1/plugin/ib_gateway_filter.wasm" "$output.new" >&2
mv "$output.new" "$output"
say "plugin: $output ($(stat -c %s "$output") bytes)"
