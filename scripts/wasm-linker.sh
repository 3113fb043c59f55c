#!/usr/bin/env bash
# Prints a linker for wasm that goes with Debian's Rust: the Rust toolchain's own, or Debian's lld.
# Fails silently where there is none. (A toolchain that has the target needs no such help.)
set -euo pipefail

if command -v rustc >/dev/null; then
    sysroot=$(rustc --print sysroot)
    for linker in "$sysroot"/lib/rustlib/*/bin/rust-lld; do
        if [ -x "$linker" ]; then
            printf '%s\n' "$linker"
            exit 0
        fi
    done
fi
for version in 22 21 20 19; do
    if command -v "wasm-ld-$version"; then exit 0; fi
done
exit 1
