# Servers of the stores, for the scripts that source this after common.sh: found, or installed.
# shellcheck shell=bash

moto_version=5.2.5

# redis_server: prints the path of a redis-server.
redis_server() {
    if [ -n "${REDIS_SERVER:-}" ]; then
        command -v "$REDIS_SERVER" || refuse "REDIS_SERVER is '$REDIS_SERVER', which is not a program."
        return
    fi
    if ! command -v redis-server >/dev/null; then
        say "installing redis-server by apt-get, once"
        local as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo --non-interactive)
        # At this run level the package starts no service of the machine.
        if ! "${as_root[@]}" apt-get update -q >&2 ||
            ! "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
                apt-get install -q -y --no-install-recommends redis-server >&2; then
            refuse "redis-server is not installed, and apt-get could not install it." \
                "Install Redis 7 and set REDIS_SERVER to its server, if it is not on the PATH."
        fi
    fi
    command -v redis-server
}

# The Python of a virtual environment that has moto.
moto_python() {
    local folder=$cache/moto/$moto_version
    if ! "$folder/bin/python" -c 'import moto.moto_server.werkzeug_app' >/dev/null 2>&1; then
        say "installing moto $moto_version from PyPI (about 320 MB with what it needs, once)"
        rm -rf "$folder"
        mkdir -p "$(dirname "$folder")"
        python3 -m venv "$folder" >&2 || refuse "Python has no venv." \
            "Install it, for instance: sudo apt-get install python3-venv"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "moto[server]==$moto_version" >&2 ||
            refuse "moto could not be installed from PyPI."
    fi
    printf '%s\n' "$folder/bin/python"
}
