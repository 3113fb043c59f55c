# Shared by the scripts that need packages of npm, PyPI or Debian, which source it after common.sh: they are installed
# from lock files into the cache, once for each version of them.
# shellcheck shell=bash

# need_node: refuses where there is no Node.js, and says how to get it.
need_node() {
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        refuse "Node.js is not installed (no node and npm on the PATH); these tests need it." \
            "Install version 20 or later, for instance: sudo apt-get install nodejs npm"
    fi
}

# is_new INTO FILE...: whether these files are others than when INTO was installed.
is_new() {
    local into=$1
    shift
    stamp=$(cat "$@" | sha256sum | cut -d ' ' -f 1)
    [ "$(cat "$into/.installed" 2>/dev/null)" != "$stamp" ]
}

# install_npm FROM INTO: what FROM/package-lock.json names, into INTO/node_modules.
install_npm() {
    local from=$1 into=$2
    is_new "$into" "$from"/package{,-lock}.json || return 0
    say "installing ${into#"$cache/"} (npm, once)"
    rm -rf "${into:?}"
    mkdir -p "$into"
    cp "$from"/package{,-lock}.json "$into/"
    npm ci --prefix "$into" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    printf '%s' "$stamp" >"$into/.installed"
}

# install_python FROM INTO: what FROM/requirements.txt names, into the virtual environment INTO.
install_python() {
    local from=$1 into=$2
    is_new "$into" "$from/requirements.txt" || return 0
    say "installing ${into#"$cache/"} (PyPI, once)"
    rm -rf "${into:?}"
    python3 -m venv "$into" >&2 || refuse "Python has no venv." \
        "Install it, for instance: sudo apt-get install python3-venv"
    "$into/bin/python" -m pip install --quiet --require-hashes --requirement "$from/requirements.txt" >&2
    printf '%s' "$stamp" >"$into/.installed"
}

# need_program NAME PACKAGE: installs Debian's PACKAGE where there is no NAME and that is possible.
need_program() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        refuse "There is no $1 on the PATH." "Install it, for instance: sudo apt-get install $2"
    fi
    say "installing $2 (apt, once)"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >&2
}
