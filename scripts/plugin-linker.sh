#!/usr/bin/env bash
# The linker of the plugin, for cargo (scripts/build-plugin.sh): a common one for wasm, which is not told
# to export the SDK's callbacks. So it leaves out whatever only they need. No later tool could: the
# addresses of functions in tables would keep them.
# IB_GATEWAY_WASM_LINKER names the linker; the default is that of scripts/wasm-linker.sh.
set -euo pipefail

linker=${IB_GATEWAY_WASM_LINKER:-$("$(dirname "${BASH_SOURCE[0]}")/wasm-linker.sh")}
arguments=()
for argument in "$@"; do
    case $argument in
    proxy_on_*)
        # The argument before it is `--export`.
        unset 'arguments[-1]'
        continue
        ;;
    esac
    arguments+=("$argument")
done
# rustc takes a linker that it does not know by name for rust-lld, which is told what to be.
if [ "${linker##*/}" != rust-lld ] && [ "${arguments[0]:-}" = -flavor ]; then
    arguments=("${arguments[@]:2}")
fi
exec "$linker" "${arguments[@]}"
