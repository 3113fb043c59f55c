#!/usr/bin/env bash
# Builds the filters that the benchmark compares with, as scripts/build-plugin.sh builds the plugin:
#     bench/build-filters.sh FOLDER
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

[ $# -eq 1 ] || refuse "usage: bench/build-filters.sh FOLDER"
need_rust
mkdir -p "$1"
output=$(cd "$1" && pwd)
way=$("$repository/scripts/wasm-target.sh")
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}/bench-filters-$way
cd "$repository/bench/filters"
read -r -a flags <<<"${CARGO_FLAGS:-}"
build=(build "${flags[@]}" --workspace --target wasm32-wasip1 --profile plugin)

say "building the filters to compare with (Rust from: $way)"
case $way in
toolchain) cargo "${build[@]}" >&2 ;;
debian)
    linker=$("$repository/scripts/wasm-linker.sh")
    PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_WASM32_WASIP1_LINKER=$linker \
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -L/usr/lib/wasm32-wasi" \
        cargo "${build[@]}" -Z build-std=std,panic_abort >&2
    ;;
esac
for name in empty rewrite same_calls; do
    install_file "$CARGO_TARGET_DIR/wasm32-wasip1/plugin/bench_$name.wasm" "$output/${name//_/-}.wasm"
done
say "filters: $output"
