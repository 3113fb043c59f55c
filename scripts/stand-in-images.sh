#!/usr/bin/env bash
# Makes stand-ins for the base images of deploy/docker/Dockerfile and docker-compose.yml that this machine's
# Docker engine neither has nor can pull: scripts/stand-in-images.sh. They carry the images' own names, so that
# everything else is built and started as where a registry can be reached:
#     debian     Debian 12 by debootstrap, with this machine's CAs
#     rust       that, with this machine's Rust, the crates that it has fetched, and what it has compiled of
#                them in the profile `dev`, so that an image compiles little more than this project's own
#     envoy      that, with the Envoy of scripts/envoy.sh
#     redis      that, with Debian's redis-server
#     prometheus that, with Debian's prometheus
# There is none for Grafana, which Debian does not have.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

debian=debian:bookworm-slim
rust=rust:1.95-slim-bookworm
envoy=envoyproxy/envoy:v1.40.0
redis=redis:7.4-bookworm
prometheus=prom/prometheus:v3.5.0
pull_seconds=120

# The first failure to reach a registry is enough to know.
registry=unknown

# have IMAGE: whether it is here, or can be pulled.
have() {
    docker image inspect "$1" >/dev/null 2>&1 && return 0
    [ "$registry" != unreachable ] || return 1
    say "pulling $1"
    timeout "$pull_seconds" docker pull --quiet "$1" >&2 && return 0
    say "it cannot be pulled: stand-ins are made here"
    registry=unreachable
    return 1
}

# compiled FOLDER: what the programs of the images are linked with, in the profile `dev`, as a target folder of
# cargo. This project's own crates are left out: the image compiles them.
compiled() {
    say "compiling the dependencies of the programs, where that is not done yet"
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    # As deploy/docker/Dockerfile and build-plugin.sh do it: other packages at once would have other features.
    cargo build --locked --package ib-oauth --package ib-simulator --package ib-stack --bins \
        --message-format json-render-diagnostics >"$work/artifacts"
    cargo build --locked --package ib-plugin-link --message-format json-render-diagnostics >>"$work/artifacts"
    mkdir -p "$1/debug/deps"
    python3 - "$work/artifacts" "$CARGO_TARGET_DIR/debug" "$1/debug" <<'PYTHON'
import json, os, shutil, sys

artifacts, source, target = sys.argv[1:]
for line in open(artifacts):
    message = json.loads(line)
    if message["reason"] != "compiler-artifact" or message["package_id"].startswith("path+"):
        continue
    for file in message["filenames"]:
        if os.path.dirname(file) == os.path.join(source, "deps"):
            shutil.copy2(file, os.path.join(target, "deps"))
ours = shutil.ignore_patterns("ib-*")
for folder in ("build", ".fingerprint"):
    shutil.copytree(os.path.join(source, folder), os.path.join(target, folder), ignore=ours)
PYTHON
}

# built IMAGE: from the Dockerfile on standard input, in the folder $context.
built() {
    say "making a stand-in for $1"
    docker build --tag "$1" --file - "$context" >"$work/log" 2>&1 || {
        tail -20 "$work/log" >&2
        refuse "The stand-in for $1 could not be made."
    }
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
context=$work/context
mkdir "$context"

if ! have "$debian"; then
    say "making a stand-in for $debian (debootstrap, about half a minute)"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >"$work/log" 2>&1 || {
        tail -5 "$work/log" >&2
        refuse "debootstrap could not make a Debian 12."
    }
    # A machine that reaches the web through a proxy of its own trusts that proxy's CA.
    cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
    rm -rf "$work"/root/var/cache/apt/archives/*.deb
    tar -C "$work/root" -c . | docker import - "$debian" >/dev/null
    rm -rf "$work/root"
fi

if ! have "$rust"; then
    need_rust
    need_python
    sysroot=$(rustc --print sysroot)
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    mkdir -p "$context/rust" "$context/cargo"
    # Documentation and sources are of no use to a build.
    cp -al "$sysroot/bin" "$sysroot/lib" "$context/rust/" 2>/dev/null || cp -a "$sysroot/bin" "$sysroot/lib" "$context/rust/"
    for part in config.toml registry/index registry/cache; do
        [ ! -e "$cargo_home/$part" ] || {
            mkdir -p "$(dirname "$context/cargo/$part")"
            cp -a "$cargo_home/$part" "$context/cargo/$part"
        }
    done
    compiled "$context/build"
    # Cargo takes for compiled only what lies where it was compiled: hence the same CARGO_HOME.
    built "$rust" <<DOCKERFILE
FROM $debian
RUN apt-get update -q && apt-get install -q -y --no-install-recommends gcc libc6-dev binutils
COPY rust /usr/local/rust
COPY cargo $cargo_home
COPY build /build
ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=$cargo_home
DOCKERFILE
    rm -rf "$context/rust" "$context/cargo" "$context/build"
fi

if ! have "$envoy"; then
    binary=$(ENVOY_VERSION=${envoy##*:v} scripts/envoy.sh)
    cp "$binary" "$context/envoy"
    built "$envoy" <<DOCKERFILE
FROM $debian
COPY envoy /usr/local/bin/envoy
DOCKERFILE
    rm "$context/envoy"
fi

if ! have "$redis"; then
    built "$redis" <<DOCKERFILE
FROM $debian
RUN apt-get update -q && apt-get install -q -y --no-install-recommends redis-server
VOLUME /data
WORKDIR /data
DOCKERFILE
fi

if ! have "$prometheus"; then
    built "$prometheus" <<DOCKERFILE
FROM $debian
RUN apt-get update -q && apt-get install -q -y --no-install-recommends prometheus && \
    mkdir /prometheus && chown nobody:nogroup /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
DOCKERFILE
fi
