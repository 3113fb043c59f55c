#!/usr/bin/env bash
# Makes everything that is handed on of a version, in a folder (target/dist): the plugin as a file and as an OCI
# image, the service, the manifests, the Helm chart, a bill of materials for plugin and service, and the checksums.
# It replaces the folder if an earlier one of its own is there, and touches no other.
#     scripts/dist.sh [FOLDER]
# The version is the workspace's, the time in everything is the last commit's: the same commit gives the same
# bytes, on one toolchain. Refuses a tree with changes, unless ALLOW_DIRTY=1.
#   DIST_PROFILE   release; "dev" takes the service of make build, to try the packing
#   HELM           a helm of your own; without one the chart is left out, and said to be
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

need_rust
need_python
own_target_folder "$@"
output=${1:-target/dist}
# It is replaced as a whole, so it has to be one of this script's own.
if [ -e "$output" ] && [ ! -f "$output/SHA256SUMS" ] && { [ ! -d "$output" ] || [ -n "$(ls -A "$output")" ]; }; then
    refuse "$output is there, and is nothing that this script made (it has no SHA256SUMS)." \
        "Name another folder, or empty this one."
fi
profile=${DIST_PROFILE:-release}
case $profile in release | dev) ;; *) refuse "DIST_PROFILE is '$profile'; there are release and dev." ;; esac
changes=$(git status --porcelain)
if [ -n "$changes" ] && [ "${ALLOW_DIRTY:-}" != 1 ]; then
    refuse "The tree has changes, which no version would name." \
        "Commit them, or set ALLOW_DIRTY=1 for a trial." "$(printf '%s' "$changes" | head -n 5)"
fi
command -v strip >/dev/null || refuse "There is no strip on the PATH." \
    "Install it, for instance: sudo apt-get install binutils"

version=$(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys
[version] = {package["version"] for package in json.load(sys.stdin)["packages"]}
print(version)')
SOURCE_DATE_EPOCH=$(commit_time)
export SOURCE_DATE_EPOCH
machine=$(uname -m)
read -r -a flags <<<"${CARGO_FLAGS:-}"
mkdir -p "$(dirname "$output")"
work=$(mktemp -d "$(dirname "$output")/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
made=$work/made
mkdir -p "$made"

# archive FILE FOLDER NAME: packs a folder's NAME; nothing of when, where and by whom is in it.
archive() {
    tar --create --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --mode='u=rwX,go=rX' --directory "$2" "$3" | gzip --no-name --best >"$1"
}

STEP='[1/6] '
scripts/build-plugin.sh "$made/ib-gateway-plugin-$version.wasm"

STEP='[2/6] '
say "packing the plugin as an OCI image"
python3 scripts/dist/oci.py "$made/ib-gateway-plugin-$version.wasm" "$version" \
    "$made/ib-gateway-plugin-$version.oci.tar" >"$made/ib-gateway-plugin-$version.oci.digest"

STEP='[3/6] '
if [ "$profile" = release ]; then
    say "building the service (profile release, in a folder of its own; many minutes the first time)"
    # Paths of this machine stay out of it.
    RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$repository=/ib-gateway" \
        cargo build "${flags[@]}" --release --package ib-oauth --bin ib-oauth \
        --target-dir "$CARGO_TARGET_DIR/dist" >&2
    program=$CARGO_TARGET_DIR/dist/release/ib-oauth
else
    say "taking the service of make build (profile dev: for a trial, not to be handed on)"
    program=${IB_GATEWAY_BIN:-target/run/bin}/ib-oauth
    [ -x "$program" ] || refuse "$program is not there." "make build makes it."
fi
service=ib-oauth-$version
mkdir -p "$work/$service"
strip -o "$work/$service/ib-oauth" "$program"
cp LICENSE CHANGELOG.md oauth/example.yaml "$work/$service/"
archive "$made/$service-$machine-linux.tar.gz" "$work" "$service"

STEP='[4/6] '
say "packing the manifests and the chart"
manifests=ib-gateway-manifests-$version
mkdir -p "$work/$manifests"
git ls-files -z -- envoy LICENSE CHANGELOG.md |
    tar --create --null --files-from=- | tar --extract --directory "$work/$manifests"
archive "$made/$manifests.tar.gz" "$work" "$manifests"
if [ -z "${HELM:-}" ] && tools=$(scripts/kubernetes-tools.sh); then HELM=$tools/helm; fi
if [ -n "${HELM:-}" ]; then
    "$HELM" package deploy/helm/ib-gateway --version "$version" --app-version "$version" \
        --destination "$work/chart" >&2
    # helm writes down when it packed.
    tar --extract --gzip --file "$work/chart/ib-gateway-$version.tgz" --directory "$work/chart"
    archive "$made/ib-gateway-$version.tgz" "$work/chart" ib-gateway
else
    say "helm could not be had: THE CHART IS LEFT OUT"
fi

STEP='[5/6] '
say "bills of materials (CycloneDX)"
python=$(python_with scripts/dist/requirements.txt sbom)
"$python" scripts/dist/sbom.py ib-gateway-filter wasm32-wasip1 "$made/ib-gateway-plugin-$version.cdx.json"
"$python" scripts/dist/sbom.py ib-oauth "$machine-unknown-linux-gnu" "$made/ib-oauth-$version.cdx.json"

STEP='[6/6] '
cp LICENSE CHANGELOG.md "$made/"
(cd "$made" && sha256sum -- * >"$work/SHA256SUMS")
mv "$work/SHA256SUMS" "$made/"
rm -rf "$output"
mv "$made" "$output"
say "version $version is in $output; the image's digest is $(cat "$output/ib-gateway-plugin-$version.oci.digest")"
cat "$output/SHA256SUMS"
