#!/usr/bin/env bash
# Makes stand-ins for the base images of deploy/docker/Dockerfile and docker-compose.yml that this machine's
# Docker engine neither has nor can pull: scripts/stand-in-images.sh. They have names of their own
# (ib-gateway/stand-in-...). On standard output is what docker-compose.yml is told of them, as VARIABLE=IMAGE:
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

# Those that the user names are taken as they are.
debian=${RUNTIME_IMAGE:-debian:bookworm-slim}
rust=${RUST_IMAGE:-rust:1.95-slim-bookworm}
envoy=${ENVOY_IMAGE:-envoyproxy/envoy:v1.40.0}
redis=${REDIS_IMAGE:-redis:7.4-bookworm}
prometheus=${PROMETHEUS_IMAGE:-prom/prometheus:v3.5.0}
envoy_version=1.40.0
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

# stand_in IMAGE: the name of what stands in for it.
stand_in() { printf 'ib-gateway/stand-in-%s\n' "$(sed 's|.*/||' <<<"$1")"; }

# needs_stand_in VARIABLE IMAGE: whether a stand-in for the image is to be made, which `instead` then names. Where
# one is taken, new or from an earlier time, the variable is told on standard output.
needs_stand_in() {
    instead=$2
    have "$2" && return 1
    instead=$(stand_in "$2")
    printf '%s=%s\n' "$1" "$instead"
    ! docker image inspect "$instead" >/dev/null 2>&1
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

# cargo_sources CARGO_HOME: of cargo's configuration, where it fetches crates from, and nothing else: no token, no
# proxy, no command. An address with a credential in it is refused.
cargo_sources() {
    python3 - "$1" <<'PYTHON'
import json, pathlib, sys, tomllib, urllib.parse

file = pathlib.Path(sys.argv[1], "config.toml")
settings = tomllib.loads(file.read_text()) if file.is_file() else {}
kept = {"source": ("replace-with", "registry"), "registries": ("index",)}
for table, fields in kept.items():
    for name, entry in settings.get(table, {}).items():
        values = {field: entry[field] for field in fields if field in entry}
        for value in values.values():
            address = urllib.parse.urlsplit(value.removeprefix("sparse+"))
            if address.password or address.username not in (None, "git"):
                sys.exit(f"{table}.{name} of {file} has a credential in its address: no image may hold it")
        if values:
            print(f"[{table}.{json.dumps(name)}]")
        for field, value in values.items():
            print(f"{field} = {json.dumps(value)}")
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

if needs_stand_in RUNTIME_IMAGE "$debian"; then
    say "making a stand-in for $debian (debootstrap, about half a minute)"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >"$work/log" 2>&1 || {
        tail -5 "$work/log" >&2
        refuse "debootstrap could not make a Debian 12."
    }
    # A machine that reaches the web through a proxy of its own trusts that proxy's CA.
    cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
    rm -rf "$work"/root/var/cache/apt/archives/*.deb
    tar -C "$work/root" -c . | docker import - "$instead" >/dev/null
    rm -rf "$work/root"
fi
base=$instead

if needs_stand_in RUST_IMAGE "$rust"; then
    need_rust
    need_python
    sysroot=$(rustc --print sysroot)
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    mkdir -p "$context/rust" "$context/cargo"
    # Documentation and sources are of no use to a build.
    cp -al "$sysroot/bin" "$sysroot/lib" "$context/rust/" 2>/dev/null || cp -a "$sysroot/bin" "$sysroot/lib" "$context/rust/"
    for part in registry/index registry/cache; do
        [ ! -e "$cargo_home/$part" ] || {
            mkdir -p "$(dirname "$context/cargo/$part")"
            cp -a "$cargo_home/$part" "$context/cargo/$part"
        }
    done
    cargo_sources "$cargo_home" >"$context/cargo/config.toml"
    compiled "$context/build"
    # Cargo takes for compiled only what lies where it was compiled: hence the same CARGO_HOME.
    built "$instead" <<DOCKERFILE
FROM $base
RUN apt-get update -q && apt-get install -q -y --no-install-recommends gcc libc6-dev binutils
COPY rust /usr/local/rust
COPY cargo $cargo_home
COPY build /build
ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=$cargo_home
DOCKERFILE
    rm -rf "$context/rust" "$context/cargo" "$context/build"
fi

if needs_stand_in ENVOY_IMAGE "$envoy"; then
    binary=$(ENVOY_VERSION=$envoy_version scripts/envoy.sh)
    cp "$binary" "$context/envoy"
    built "$instead" <<DOCKERFILE
FROM $base
COPY envoy /usr/local/bin/envoy
DOCKERFILE
    rm "$context/envoy"
fi

if needs_stand_in REDIS_IMAGE "$redis"; then
    built "$instead" <<DOCKERFILE
FROM $base
RUN apt-get update -q && apt-get install -q -y --no-install-recommends redis-server
VOLUME /data
WORKDIR /data
DOCKERFILE
fi

if needs_stand_in PROMETHEUS_IMAGE "$prometheus"; then
    built "$instead" <<DOCKERFILE
FROM $base
RUN apt-get update -q && apt-get install -q -y --no-install-recommends prometheus && \
    mkdir /prometheus && chown nobody:nogroup /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
DOCKERFILE
fi
