# A Docker engine for the script that sources this: the one that runs, else one of its own, which ends with
# the script. Debian's packages are installed where they are missing.
# shellcheck shell=bash

engine_process=

# as_root COMMAND...: never stops at a password prompt: a build has nobody to answer it.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --non-interactive "$@"; fi
}

# install_engine: Docker's engine and client, docker-compose, and what makes a Debian where no registry is.
install_engine() {
    local packages=()
    command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] || packages+=(docker.io iptables)
    command -v docker-compose >/dev/null || packages+=(docker-compose)
    command -v debootstrap >/dev/null || [ -x /usr/sbin/debootstrap ] || packages+=(debootstrap)
    [ ${#packages[@]} -gt 0 ] || return 0
    say "installing by apt-get, once: ${packages[*]}"
    # At this run level the packages start no service of the machine.
    if ! as_root apt-get update -q >&2 ||
        ! as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${packages[@]}" >&2; then
        refuse "Docker is not installed, and apt-get could not install it." \
            "Install Docker's engine and docker-compose; or start an engine and set DOCKER_HOST."
    fi
}

# start_engine: leaves DOCKER_HOST at an engine that answers.
start_engine() {
    if docker info >/dev/null 2>&1; then
        say "Docker engine: the one that runs ($(docker info --format '{{.ServerVersion}}'))"
        return
    fi
    [ "$(id -u)" -eq 0 ] || refuse "No Docker engine answers here." \
        "Start one (sudo systemctl start docker), be in the group docker, or set DOCKER_HOST."
    local folder=$cache/docker
    mkdir -p "$folder"
    # A short path: a socket's may not be long.
    engine_folder=$(mktemp -d /tmp/ib-gateway-docker.XXXXXX)
    PATH=$PATH:/usr/sbin:/sbin dockerd --data-root "$folder" --exec-root "$engine_folder/exec" \
        --host "unix://$engine_folder/docker.sock" --pidfile "$engine_folder/pid" \
        >"$engine_folder/log" 2>&1 &
    engine_process=$!
    export DOCKER_HOST=unix://$engine_folder/docker.sock
    local waited=0
    until docker info >/dev/null 2>&1; do
        kill -0 "$engine_process" 2>/dev/null && [ "$waited" -lt 60 ] || {
            tail -5 "$engine_folder/log" >&2
            refuse "Docker's engine does not start here (it needs rights of its own: namespaces, iptables)."
        }
        sleep 1
        waited=$((waited + 1))
    done
    say "Docker engine: one of its own ($(docker info --format '{{.ServerVersion}}')), images in $folder"
}

# stop_engine: ends the engine that start_engine started, and no other.
stop_engine() {
    [ -n "$engine_process" ] || return 0
    kill "$engine_process" 2>/dev/null || true
    wait "$engine_process" 2>/dev/null || true
    rm -rf "$engine_folder"
}
