#!/usr/bin/env bash
# Makes it possible to build for wasm32-wasip1, and prints how: "toolchain" (the Rust toolchain on the
# PATH has the target) or "debian" (Debian's Rust compiles the standard library along).
# Idempotent. WASM_TARGET_FROM=toolchain|debian leaves no choice; the default takes what works.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

target=wasm32-wasip1
rustup_seconds=30
packages=(rustc-web cargo-web rust-web-src wasi-libc)
wanted=${WASM_TARGET_FROM:-any}
remembered=$cache/wasm-target

toolchain_has_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]
}

# Everything that scripts/build-plugin.sh uses when the way is "debian".
debian_has_target() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] &&
        [ -f /usr/lib/rustlib/src/rust/library/std/Cargo.toml ] &&
        [ -f /usr/lib/wasm32-wasi/libc.a ] && "$repository/scripts/wasm-linker.sh" >/dev/null
}

finish() {
    mkdir -p "$cache"
    printf '%s\n' "$1" >"$remembered"
    printf '%s\n' "$1"
    exit 0
}

add_by_rustup() {
    command -v rustup >/dev/null || return 1
    say "adding the Rust target $target by rustup (at most $rustup_seconds s)"
    timeout "$rustup_seconds" rustup target add "$target" >&2 && toolchain_has_target
}

install_debian_packages() {
    command -v apt-get >/dev/null || return 1
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        # Never stop at a password prompt: a build has nobody to answer it.
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    # The toolchain's own linker serves; where there is none, Debian's.
    "$repository/scripts/wasm-linker.sh" >/dev/null || packages+=(lld-19)
    say "installing Debian's Rust with its sources (about a minute, once): ${packages[*]}"
    "${as_root[@]}" apt-get update -q >&2 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${packages[@]}" >&2 &&
        debian_has_target
}

case $wanted in
any | toolchain | debian) ;;
*) refuse "WASM_TARGET_FROM is '$wanted'; it can be 'toolchain' or 'debian'." ;;
esac

if [ "$wanted" != debian ]; then
    need_rust
    if toolchain_has_target; then finish toolchain; fi
    # What once needed the fallback does not wait for rustup each time.
    if [ "$wanted" = any ] && [ "$(cat "$remembered" 2>/dev/null)" = debian ] && debian_has_target; then
        finish debian
    fi
    if add_by_rustup; then finish toolchain; fi
    [ "$wanted" = any ] || refuse "The Rust target $target could not be added by rustup."
    say "rustup could not add $target; falling back to Debian's Rust"
fi

if debian_has_target || install_debian_packages; then finish debian; fi

refuse "The plugin cannot be built: there is no Rust target $target here." \
    "Either add it:            rustup target add $target" \
    "or, on Debian 12, install: sudo apt-get install --no-install-recommends ${packages[*]} lld-19" \
    "and run this again."
