#!/usr/bin/env bash
# Runs the checks that are named, or all of them, and ends with a line of its own that counts the tests:
#     scripts/test.sh [lint] [unit] [end-to-end] [kill-rounds] [conformance]
# Fails when anything failed and when no test ran. A check that breaks before it can count (format,
# lint, a build) counts as one failure, and the others still run where they can. Where all tests run, the
# table docs/conformance.md has to be what they say; `conformance` runs them and writes it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

[ $# -gt 0 ] || set -- lint unit end-to-end
stages=()
for stage in "$@"; do
    case $stage in
    lint) stages+=(format lint documents) ;;
    unit) stages+=(build_tests unit) ;;
    end-to-end) stages+=(plugin envoy build_tests end_to_end) ;;
    # Not one of "all": the end-to-end tests have a few rounds of it.
    kill-rounds) stages+=(plugin envoy build_tests kill_rounds) ;;
    conformance) stages+=(plugin envoy build_tests unit end_to_end write_conformance) ;;
    *) refuse "unknown check '$stage'; there are lint, unit, end-to-end, kill-rounds and conformance." ;;
    esac
done
# What only all tests together can tell.
case " ${stages[*]} " in
*" write_conformance "*) ;;
*" unit "*" end_to_end "*) stages+=(check_conformance) ;;
esac
need_rust
case " ${stages[*]} " in
*_conformance* | *" documents "*) need_python ;;
*" envoy "*) [ -n "${ENVOY:-}" ] || need_python ;;
esac
own_target_folder "$@"

binaries=$repository/target/run/bin
log=$(mktemp)
# What every suite printed.
results=$(mktemp)
trap 'rm -f "$log" "$results"' EXIT
read -r -a flags <<<"${CARGO_FLAGS:-}"
passed=0 failed=0 skipped=0

# cargo_test WHAT...: runs tests and adds up the results of every suite.
cargo_test() {
    local status=0 counts
    cargo test "${flags[@]}" --workspace --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
    cat "$log" >>"$results"
    # "test result: ok. 31 passed; 0 failed; 0 ignored; ..."
    counts=$(awk '/^test result: /{ p += $4; f += $6; s += $8 } END { print p + 0, f + 0, s + 0 }' "$log")
    read -r p f s <<<"$counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    # A suite that crashed has no result line.
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then failed=$((failed + 1)); fi
    return "$status"
}

format() { cargo fmt --all --check; }
lint() { cargo clippy "${flags[@]}" --workspace --all-targets -- -D warnings; }
# Programs and tests in one go, so that they share every dependency.
build_tests() { scripts/build.sh "$binaries" --tests; }
unit() { cargo_test --lib --bins; }
plugin() {
    scripts/build-plugin.sh "$binaries/plugin.wasm"
    # For the test of what happens when the VM crashes; it is never deployed.
    scripts/build-plugin.sh --crash-on-demand "$binaries/plugin-crash-on-demand.wasm"
}
envoy() { ENVOY=$(scripts/envoy.sh) && export ENVOY; }
end_to_end() {
    IB_GATEWAY_BIN=$binaries IB_GATEWAY_STACKS=$repository/target/stacks cargo_test --test '*'
}

kill_rounds() {
    IB_GATEWAY_BIN=$binaries IB_GATEWAY_STACKS=$repository/target/stacks \
        cargo_test --test kill_rounds -- --nocapture
}

# What the documents name is there, and what is generated is what the code says.
documents() { python3 scripts/check_docs.py && python3 scripts/api_reference.py check; }
check_conformance() { python3 scripts/conformance.py check "$results"; }
write_conformance() { python3 scripts/conformance.py write "$results"; }

# The order of the list above, each stage once.
mapfile -t stages < <(printf '%s\n' "${stages[@]}" | awk '!seen[$0]++')
number=0 broken=
for stage in "${stages[@]}"; do
    number=$((number + 1))
    started=$SECONDS
    say "[$number/${#stages[@]}] ${stage//_/ }"
    case $stage in
    unit | end_to_end | kill_rounds)
        if [ -n "$broken" ]; then
            say "${stage//_/ }: not run, since $broken failed"
            failed=$((failed + 1))
        else
            "$stage" || say "${stage//_/ }: FAILED"
        fi
        ;;
    format | lint | documents | *_conformance)
        "$stage" || { say "${stage//_/ }: FAILED" && failed=$((failed + 1)); }
        ;;
    *)
        "$stage" || { say "${stage//_/ }: FAILED" && failed=$((failed + 1)) broken=${stage//_/ }; }
        ;;
    esac
    say "[$number/${#stages[@]}] ${stage//_/ }: $((SECONDS - started)) s"
done

case " ${stages[*]} " in
*" unit "* | *" end_to_end "* | *" kill_rounds "*)
    say "$SECONDS s in all"
    result="$passed passed, $failed failed"
    [ "$skipped" -eq 0 ] || result="$result, $skipped skipped"
    printf '%s\n' "$result"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    ;;
*) [ "$failed" -eq 0 ] ;;
esac
