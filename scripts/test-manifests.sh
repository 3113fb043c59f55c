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

python=$(python_with tests/manifests/requirements.txt manifests)
if [ -z "${HELM:-}" ] || [ -z "${KUBECTL:-}" ]; then
    if tools=$(scripts/kubernetes-tools.sh); then
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

exec "$python" tests/manifests/run.py
