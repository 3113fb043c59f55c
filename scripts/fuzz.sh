#!/usr/bin/env bash
# Runs each fuzz target of fuzz/ for so many seconds, and fails when one finds an input that crashes it:
#     scripts/fuzz.sh [SECONDS] [TARGET...]
# libFuzzer comes with a crate and is built along; coverage comes from flags of an ordinary Rust. What a
# run learns stays in the cache, so that the next one goes on from there. A crashing input is kept in
# target/fuzz; to see it again, give it to the target's program, which is named at the end.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

seconds=${1:-${FUZZ_SECONDS:-20}}
[[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || refuse "the time is '$seconds'; it is a number of seconds from 1."
targets=("${@:2}")
if [ ${#targets[@]} -eq 0 ]; then
    for file in fuzz/targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi
for target in "${targets[@]}"; do
    [ -f "fuzz/targets/$target.rs" ] || refuse "there is no fuzz target '$target' in fuzz/targets."
done
need_rust
command -v c++ >/dev/null || refuse \
    "There is no C++ compiler (c++) on the PATH; libFuzzer is written in C++." \
    "Install one, for instance: sudo apt-get install build-essential"
own_target_folder "$@"

# Edge counters, and the operands of comparisons, for libFuzzer. No sanitizer: the code has no unsafe.
# A triple of its own keeps these flags from build scripts.
triple=$(rustc --version --verbose | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/fuzz
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
read -r -a flags <<<"${CARGO_FLAGS:-}"
say "building the fuzz targets"
cargo build "${flags[@]}" --manifest-path fuzz/Cargo.toml --release --target "$triple" --bins >&2
programs=$CARGO_TARGET_DIR/$triple/release

crashes=$repository/target/fuzz
mkdir -p "$crashes"
failed=() number=0
for target in "${targets[@]}"; do
    number=$((number + 1))
    learnt=$cache/fuzz/$target log=$crashes/$target.log
    mkdir -p "$learnt"
    dictionary=()
    [ ! -f "fuzz/dictionaries/$target" ] || dictionary=("-dict=fuzz/dictionaries/$target")
    say "[$number/${#targets[@]}] $target: $seconds s"
    # New inputs go to the first folder. -timeout is for one input, in seconds.
    if ! "$programs/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=2048 \
        -print_final_stats=1 -artifact_prefix="$crashes/$target-" "${dictionary[@]}" \
        "$learnt" "fuzz/corpus/$target" >"$log" 2>&1; then
        grep -E 'panicked at|ERROR: |^SUMMARY|Test unit written' -A 1 "$log" >&2 || tail -n 20 "$log" >&2
        failed+=("$target")
    fi
    # "#73012 DONE cov: 412 ft: 1820 corp: 203/9Kb ...", "stat::number_of_executed_units: 73012"
    coverage=$(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\) corp: \([0-9]*\).*/\1 edges, \2 features, \3 inputs/p' \
        "$log" | tail -n 1)
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%s: %s executions, %s\n' "$target" "${executions:-no}" "${coverage:-no coverage}"
done

[ ${#failed[@]} -eq 0 ] || refuse "crashed: ${failed[*]}" "The inputs are in $crashes," \
    "for instance: $programs/${failed[0]} $crashes/${failed[0]}-crash-..."
say "no crash in ${#targets[@]} targets"
