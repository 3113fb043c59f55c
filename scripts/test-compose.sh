#!/usr/bin/env bash
# Builds the images of docker-compose.yml, starts them as a person would, and tests them from outside; ends
# with a line that counts the tests. A Docker engine is installed and started where none is, and base images
# are made here where no registry can be reached (docker-engine.sh, stand-in-images.sh). What it starts, it
# ends; images and the engine's folder stay in the cache.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/docker-engine.sh"
cd "$repository"

steps=7
# The tests of what docker-compose.yml starts by itself, which need no stack of their own.
suite=(cors errors forged hostile login login_page proxy requirements)

need_rust
need_python
own_target_folder "$@"

passed=0 failed=0
work=$(mktemp -d)
chmod 0700 "$work"
# Of this run alone, so that it meets no other one and no stack of the user's: also the simulator's network.
export COMPOSE_PROJECT_NAME=ib-gateway-test-$$ IB_GATEWAY_TAG=test
export IB_SIMULATOR_SUBNET=198.19.$(($$ % 256)).0/24
# Debug builds of the programs: what is tested is how they are put together.
export CARGO_PROFILE=${CARGO_PROFILE:-dev}
# docker-compose builds by the engine's own builder; so the client does the same, and they share layers.
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0
unset COMPOSE_PROFILES

# The tests look into Envoy by its admin interface, which in docker-compose.yml nobody but Envoy reaches.
export ENVOY_ADMIN=0.0.0.0:9901

# compose ARGUMENT...: of this project.
compose() { docker-compose --log-level ERROR "$@"; }

end() {
    compose down --volumes --timeout 5 >"$work/down" 2>&1 || cat "$work/down" >&2
    stop_engine
    rm -rf "$work"
}
trap end EXIT

# check NAME COMMAND...: one test of this script. The first command in it that fails ends it.
check() {
    local name=$1 status
    shift
    set +e
    (
        set -e
        "$@"
    ) >"$work/check" 2>&1
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        printf 'test %s ... ok\n' "$name"
        passed=$((passed + 1))
    else
        cat "$work/check" >&2
        printf 'test %s ... FAILED\n' "$name"
        failed=$((failed + 1))
    fi
}

# fails COMMAND...: a command that has to fail.
fails() { if "$@"; then return 1; fi; }

# free_ports N: numbers of N ports that nobody listens at.
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(socket.getsockname()[1] for socket in sockets))
PYTHON
}

# container SERVICE: the id of its container.
container() { compose ps --quiet "$1"; }

# address SERVICE NETWORK: the container's own on one of its networks; this host reaches it by the bridge.
address() {
    docker inspect --format "{{(index .NetworkSettings.Networks \"${COMPOSE_PROJECT_NAME}_$2\").IPAddress}}" \
        "$(container "$1")"
}

# up: starts the profiles of COMPOSE_PROFILES, and waits until what has a health check is healthy.
up() {
    compose up --detach --no-build >"$work/up" 2>&1 || {
        cat "$work/up" >&2
        compose logs --tail 20 >&2
        refuse "docker-compose could not start the containers."
    }
    local waited=0 states waiting
    while true; do
        states=$(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
            --format '{{.Names}} {{.Status}}') || refuse "The engine does not say what runs."
        [ -n "$states" ] || refuse "None of the containers runs."
        waiting=$(grep -E 'starting|unhealthy|Restarting' <<<"$states") || break
        [ "$waited" -lt 60 ] || {
            compose logs --tail 20 >&2
            refuse "These do not become healthy:" "$waiting"
        }
        sleep 1
        waited=$((waited + 1))
    done
}

# reach: writes for the tests where everything is (tests/end-to-end/README.md).
reach() {
    local envoy service simulator
    envoy=$(address envoy gateway)
    service=$(address service gateway)
    simulator=$(address simulator simulator)
    rm -rf "$work/secrets"
    docker cp "$(container service):/run/ib-gateway/service/secrets" "$work/secrets" >/dev/null
    docker cp "$(container simulator):/run/ib-gateway/simulator/ca.pem" "$work/ca.pem" >/dev/null
    cat >"$work/reach.json" <<JSON
{
  "gateway": "127.0.0.1:$IB_GATEWAY_PORT",
  "envoy_admin": "$envoy:9901",
  "service_public": "$service:8081",
  "service_internal": "$service:8082",
  "simulator_control": "$simulator:8444",
  "simulator_tls": "$simulator:443",
  "ca_pem": "$work/ca.pem",
  "gateway_credential_file": "$work/secrets/gateway-credential"
}
JSON
    export IB_STACK_ADDRESSES=$work/reach.json
}

# cargo_test WHAT...: runs end-to-end tests against the containers and adds up their results. A test that
# needs a stack of its own says so and passes: it is counted apart.
cargo_test() {
    local status=0
    cargo test --locked --package ib-end-to-end --no-fail-fast "$@" --nocapture >"$work/log" 2>&1 || status=$?
    grep -E '^test |panicked|^  |calls with' "$work/log" | grep -v 'skipped: ' || true
    read -r p f by < <(awk '/^test result: /{ p += $4; f += $6 } /skipped: this test needs a stack/{ by++ } END { print p + 0, f + 0, by + 0 }' "$work/log")
    passed=$((passed + p - by)) failed=$((failed + f)) passed_by=$((passed_by + by))
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        tail -20 "$work/log" >&2
        failed=$((failed + 1))
    fi
}
passed_by=0

for_every_profile() {
    local profiles
    for profiles in "" redis observability redis,observability; do
        COMPOSE_PROFILES=$profiles compose config --quiet || return 1
    done
}

# The file is also one for today's `docker compose`, whose schema this is.
fits_the_schema() {
    local venv=$cache/check-jsonschema/0.38.0
    if [ ! -x "$venv/bin/check-jsonschema" ]; then
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check check-jsonschema==0.38.0
    fi
    "$venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yml
}

# containers: the ids of this project's, of which there are some.
containers() {
    docker ps --all --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" >"$work/containers"
    grep . "$work/containers"
}

# files_of IMAGE: the files in the image itself, without volumes and without starting it.
files_of() {
    local id
    id=$(docker create "$1" none)
    docker export --output "$work/image.tar" "$id"
    docker rm "$id" >/dev/null
    tar -tf "$work/image.tar"
    rm "$work/image.tar"
}

# Of each container: no root, a root file system that is read only, no capability, no way to get more.
is_confined() {
    local id ids report bad=0
    ids=$(containers)
    for id in $ids; do
        report=$(docker inspect --format '{{.Name}} {{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' "$id")
        grep -qE '^/[^ ]+ (65532:65532|65534:65534) true \[ALL\] \[no-new-privileges:true\]$' <<<"$report" || {
            echo "$report"
            bad=1
        }
    done
    return $bad
}

ports_are_on_loopback() {
    local id ids bad=0
    ids=$(containers)
    for id in $ids; do
        docker inspect --format '{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}}{{"\n"}}{{end}}{{end}}' "$id"
    done | sed '/^$/d' | sort -u >"$work/addresses"
    [ "$(cat "$work/addresses")" = 127.0.0.1 ] || bad=1
    cat "$work/addresses"
    return $bad
}

# Neither the images nor the containers' environment has any of the secrets.
secrets_are_only_in_their_volumes() {
    local secret id ids image program
    ids=$(containers)
    for secret in "$work"/secrets/*; do
        secret=$(cat "$secret")
        [ -n "$secret" ]
        for id in $ids; do
            docker inspect "$id" >"$work/inspected"
            fails grep -qF -- "${secret#Bearer }" "$work/inspected"
        done
    done
    # Nothing is where secrets are mounted; and what the image is for is there, so the list is one of its files.
    while read -r image program; do
        files_of "ib-gateway/$image:test" >"$work/files"
        grep -qxF "$program" "$work/files"
        # Folders end with a slash.
        fails grep -E '^(run/ib-gateway|etc/ib-gateway/secrets|var/lib/ib-oauth)/.*[^/]$' "$work/files"
    done <<IMAGES
files usr/local/bin/ib-stack
simulator usr/local/bin/ib-simulator
service usr/local/bin/ib-oauth
gateway etc/ib-gateway/plugin.wasm
IMAGES
}

envoy_has_no_key_of_the_service() {
    fails docker exec "$(container envoy)" ls /run/ib-gateway/service
    docker exec "$(container envoy)" ls -R /run/ib-gateway >"$work/files"
    grep gateway-authorization "$work/files"
    fails grep -E 'sealing-key|token-tag-key|redis-password' "$work/files"
}

# Networks: Envoy reaches no store; the service reaches nothing outside, not even what any other container does.
envoy_cannot_reach_redis() {
    local redis
    redis=$(address redis store)
    docker exec "$(container service)" timeout 3 bash -c "exec 3<>/dev/tcp/$redis/6379"
    fails docker exec "$(container envoy)" timeout 3 bash -c "exec 3<>/dev/tcp/$redis/6379"
}
the_service_has_no_way_out() {
    fails docker exec "$(container service)" timeout 3 bash -c "exec 3<>/dev/tcp/$outside/53"
}

# The process is killed as by a crash, by one of the same user in the engine's own process namespace (this
# machine's numbers need not be the engine's): the engine starts it again, as it would not after `docker kill`.
the_service_comes_back() {
    local id before waited=0
    id=$(container service)
    before=$(docker inspect --format '{{.RestartCount}}' "$id")
    docker run --rm --network none --pid host --user 65532:65532 --cap-drop ALL --entrypoint bash \
        ib-gateway/service:test -c 'kill -9 "$1"' kill "$(docker inspect --format '{{.State.Pid}}' "$id")"
    until [ "$(docker inspect --format '{{.RestartCount}} {{.State.Health.Status}}' "$id")" = "$((before + 1)) healthy" ] &&
        [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$IB_GATEWAY_PORT/healthz")" = 200 ]; do
        [ "$waited" -lt 60 ] || return 1
        sleep 1
        waited=$((waited + 1))
    done
}

# As docker-compose.yml would start it: with the files of one instance, and no place for a store.
the_second_instance_refuses_to_start_without_redis() {
    fails timeout 20 docker run --rm --network none --read-only \
        --volume "${COMPOSE_PROJECT_NAME}_simulator-ca:/run/ib-gateway/simulator:ro" \
        --volume "${COMPOSE_PROJECT_NAME}_service-files:/run/ib-gateway/service:ro" \
        "ib-gateway/service:test" serve --config /run/ib-gateway/service/oauth.yaml >"$work/refusal" 2>&1
    cat "$work/refusal"
    grep -q 'ib-oauth: store.path' "$work/refusal"
}

the_plugin_image_holds_the_plugin_alone() {
    files_of ib-gateway/plugin:test >"$work/all"
    grep -vE '^(dev|etc|proc|sys)(/|$)|^\.dockerenv$' "$work/all" >"$work/files"
    cat "$work/files"
    [ "$(cat "$work/files")" = plugin.wasm ]
}

prometheus_scrapes() {
    local waited=0
    until [ "$(curl -s "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query?query=up" |
        python3 -c 'import json, sys
up = {r["metric"]["job"]: r["value"][1] for r in json.load(sys.stdin)["data"]["result"]}
print(up.get("envoy"), up.get("oauth"))' 2>&1)" = "1 1" ]; do
        [ "$waited" -lt 60 ] || return 1
        sleep 1
        waited=$((waited + 1))
    done
}

STEP="[1/$steps] "
started=$SECONDS
install_engine
start_engine
say "$((SECONDS - started)) s"

STEP="[2/$steps] "
started=$SECONDS
say "base images"
images=$(scripts/stand-in-images.sh)
while IFS= read -r assignment; do
    [ -z "$assignment" ] || export "${assignment?}"
done <<<"$images"
say "$((SECONDS - started)) s"

STEP="[3/$steps] "
started=$SECONDS
say "building the images (profile $CARGO_PROFILE)"
read -r IB_GATEWAY_PORT IB_SIMULATOR_PORT IB_SIMULATOR_CONTROL_PORT PROMETHEUS_PORT < <(free_ports 4)
export IB_GATEWAY_PORT IB_SIMULATOR_PORT IB_SIMULATOR_CONTROL_PORT PROMETHEUS_PORT
compose build --quiet files simulator service envoy >"$work/build" 2>&1 || {
    tail -40 "$work/build" >&2
    refuse "The images could not be built."
}
docker build --file deploy/docker/Dockerfile --target plugin --tag ib-gateway/plugin:test \
    ${RUST_IMAGE:+--build-arg "RUST_IMAGE=$RUST_IMAGE"} \
    ${RUNTIME_IMAGE:+--build-arg "RUNTIME_IMAGE=$RUNTIME_IMAGE"} . >"$work/build" 2>&1 || {
    tail -40 "$work/build" >&2
    refuse "The image of the plugin could not be built."
}
say "compiling the tests"
cargo test --locked --quiet --package ib-end-to-end --no-run >&2
say "$((SECONDS - started)) s"

STEP="[4/$steps] "
started=$SECONDS
say "one instance with a file"
check docker_compose_takes_the_file_with_every_profile for_every_profile
check todays_docker_compose_takes_the_file_too fits_the_schema
up
reach
check no_container_has_more_rights_than_it_needs is_confined
check every_published_port_is_on_loopback ports_are_on_loopback
check secrets_are_in_no_image_and_in_no_environment secrets_are_only_in_their_volumes
check the_gateways_container_has_no_key_of_the_service envoy_has_no_key_of_the_service
# What is outside: this machine's name server, where a container of no network of ours reaches it.
outside=$(awk '/^nameserver/ { print $2; exit }' /etc/resolv.conf)
if docker run --rm --entrypoint timeout ib-gateway/service:test 3 \
    bash -c "exec 3<>/dev/tcp/$outside/53" 2>/dev/null; then
    check the_service_has_no_way_out_of_its_networks the_service_has_no_way_out
else
    say "skipped: whether the service has a way out, since no container reaches the name server here"
fi
check the_plugin_image_holds_the_plugin_alone the_plugin_image_holds_the_plugin_alone
check the_second_instance_refuses_to_start_without_redis the_second_instance_refuses_to_start_without_redis
say "$((SECONDS - started)) s"

STEP="[5/$steps] "
started=$SECONDS
say "the end-to-end tests from outside"
cargo_test "${suite[@]/#/--test=}" --
check a_service_that_crashes_comes_back_by_itself the_service_comes_back
compose down --volumes --timeout 5 >/dev/null 2>&1
say "$((SECONDS - started)) s"

STEP="[6/$steps] "
started=$SECONDS
say "two instances that share Redis, restarted and lost under load"
export COMPOSE_PROFILES=redis
up
reach
check no_container_with_redis_has_more_rights_than_it_needs is_confined
check envoy_cannot_reach_redis envoy_cannot_reach_redis
IB_COMPOSE=$COMPOSE_PROJECT_NAME cargo_test --test replicas -- --ignored --test-threads 1
say "$((SECONDS - started)) s"

STEP="[7/$steps] "
started=$SECONDS
if [ -f deploy/observability/prometheus.yml ]; then
    say "Prometheus"
    COMPOSE_PROFILES=redis,observability compose up --detach --no-build --no-deps prometheus >"$work/up" 2>&1 || cat "$work/up" >&2
    check prometheus_scrapes_the_gateway_and_the_service prometheus_scrapes
    say "skipped: Grafana, of which there is no stand-in; its part of the file is checked as configuration"
else
    say "skipped: Prometheus and Grafana, since deploy/observability has no configuration"
fi
say "$((SECONDS - started)) s"

say "$SECONDS s in all; $passed_by tests need a stack of their own and were passed by"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
