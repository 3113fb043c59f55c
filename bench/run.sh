#!/usr/bin/env bash
# Prepares what the benchmark needs and runs it:
#     bench/run.sh compare [options]    side by side (make bench)
#     bench/run.sh soak [options]       the long run (make soak)
#     bench/run.sh flood [options]      an honest client beside a flood (make bench-flood)
#     bench/run.sh store [options]      very many grants in the embedded store (make bench-store)
# `--help` behind either lists the options. Results go to bench/results.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

[ $# -ge 1 ] || refuse "usage: bench/run.sh compare|flood|soak|store [OPTIONS]"
need_rust
cd "$repository"
output=$repository/target/bench
mkdir -p "$output/bin"

for program in taskset setpriv; do
    command -v "$program" >/dev/null || refuse "There is no $program on the PATH." \
        "It is part of util-linux: sudo apt-get install util-linux"
done
[ "$(nproc)" -ge 2 ] || refuse "The benchmark needs two cores: one for Envoy, one for everything else."

# What only tells of the benchmark needs nothing else.
tells_only=
for argument in "$@"; do
    case $argument in --help | -h | --list) tells_only=1 ;; esac
done

if [ -z "$tells_only" ] && [ "$1" = compare ] && ! command -v wrk >/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    say "installing wrk, the load generator (Debian's package)"
    { command -v apt-get >/dev/null && "${as_root[@]}" apt-get install -q -y --no-install-recommends wrk >&2; } ||
        refuse "There is no wrk, the load generator, on the PATH, and it could not be installed." \
            "Install it, for instance: sudo apt-get update && sudo apt-get install wrk"
fi

read -r -a flags <<<"${CARGO_FLAGS:-}"
target=${CARGO_TARGET_DIR:-$cache/target}
packages=(--package ib-bench)
[ -n "$tells_only" ] || packages+=(--package ib-oauth)
say "building the benchmark and the service, optimised"
CARGO_TARGET_DIR=$target cargo build "${flags[@]}" --release "${packages[@]}" >&2
install_file "$target/release/ib-bench" "$output/bin/ib-bench"
[ -z "$tells_only" ] || exec "$output/bin/ib-bench" "$@"
install_file "$target/release/ib-oauth" "$output/bin/ib-oauth"
export BENCH_SERVICE=${BENCH_SERVICE:-$output/bin/ib-oauth} BENCH_WORK=$output
# No gateway takes part in it.
[ "$1" != store ] || exec "$output/bin/ib-bench" "$@"

scripts/build-plugin.sh "$output/bin/plugin.wasm"
bench/build-filters.sh "$output/filters"
ENVOY=$(scripts/envoy.sh)
export ENVOY
export BENCH_PLUGIN=${BENCH_PLUGIN:-$output/bin/plugin.wasm}
export BENCH_FILTERS=$output/filters
exec "$output/bin/ib-bench" "$@"
