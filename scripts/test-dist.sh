#!/usr/bin/env bash
# Tries what `make dist` makes, with the service as the tests build it, and ends with a line that counts the checks:
# the checksums, that packing again and building the plugin elsewhere give the same bytes, and that what is in the
# archives runs. What could not be had is said, and counted as skipped.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

need_rust
need_python
own_target_folder "$@"
export IB_GATEWAY_BIN=${IB_GATEWAY_BIN:-$repository/target/run/bin}
# Cargo finds its configuration from the working directory upwards, so the copy lies outside.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

# check WHAT COMMAND...
check() {
    local what=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        say "ok: $what"
    else
        failed=$((failed + 1))
        say "FAILED: $what"
        cat "$work/log" >&2
    fi
}
skip() {
    skipped=$((skipped + 1))
    say "SKIPPED: $1"
}
# dist FOLDER: a trial may have changes in the tree.
dist() { DIST_PROFILE=dev ALLOW_DIRTY=1 scripts/dist.sh "$1"; }

STEP='[1/4] '
[ -x "$IB_GATEWAY_BIN/ib-oauth" ] || scripts/build.sh "$IB_GATEWAY_BIN" --tests
dist "$work/first" >/dev/null
cd "$work/first"
version=$(sed -n 's/.*  ib-oauth-\(.*\)\.cdx\.json$/\1/p' SHA256SUMS)

STEP='[2/4] '
check "the checksums are those of the files" sha256sum --check --strict SHA256SUMS
all_are_listed() { diff <(cut -c 67- SHA256SUMS | LC_ALL=C sort) <(find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort); }
check "no file is without one" all_are_listed
check "the versions are one: the files', and the service's own" test -n "$version"
tar --extract --gzip --file "ib-oauth-$version-$(uname -m)-linux.tar.gz" --directory "$work"
says_its_version() { "$work/ib-oauth-$version/ib-oauth" --version | grep --fixed-strings --line-regexp "ib-oauth $version"; }
check "the packed service starts and says its version" says_its_version
is_stripped() { ! readelf --sections "$work/ib-oauth-$version/ib-oauth" | grep -E '\.(symtab|debug_info)'; }
check "it has no symbols" is_stripped

leaves_another_folder() {
    mkdir "$work/another" && touch "$work/another/kept" &&
        ! (cd "$repository" && dist "$work/another") && [ -f "$work/another/kept" ]
}
check "a folder with other files in it is not replaced" leaves_another_folder

holds_no_path() {
    ! grep --text --fixed-strings --quiet -e "${CARGO_HOME:-$HOME/.cargo}" -e "$repository" "ib-gateway-plugin-$version.wasm"
}
check "no path of this machine is in the plugin" holds_no_path

tar --extract --gzip --file "ib-gateway-manifests-$version.tar.gz" --directory "$work"
cp "ib-gateway-plugin-$version.wasm" "$work/ib-gateway-manifests-$version/envoy/plugin.wasm"
if envoy=$("$repository/scripts/envoy.sh"); then
    takes() (
        cd "$work/ib-gateway-manifests-$version/envoy"
        "$envoy" --mode validate --use-dynamic-base-id -c envoy.yaml
    )
    check "Envoy takes the packed configuration with the packed plugin" takes
else
    skip "there is no Envoy to try the packed configuration"
fi

if tools=$("$repository/scripts/kubernetes-tools.sh"); then
    renders() {
        "$tools/helm" template t "$work/first/ib-gateway-$version.tgz" \
            --values "$repository/deploy/helm/ib-gateway/values-redb.yaml" \
            --set image.repository=i --set settings.issuer=https://gateway.example.com |
            grep --fixed-strings "app.kubernetes.io/version: \"$version\""
    }
    check "the packed chart renders, with this version" renders
else
    skip "there is no helm to render the packed chart"
fi

names() {
    python3 -c 'import json, sys
bill = json.load(open(sys.argv[1]))
names = {component["name"] for component in bill["components"] if component["scope"] == "required"}
missing = set(sys.argv[3:]) - names
assert bill["metadata"]["component"]["version"] == sys.argv[2] and not missing, missing
unproven = [c["name"] for c in bill["components"] if "purl" in c and not c.get("hashes")]
assert not unproven, unproven' "$@"
}
check "the service's bill of materials has what it is linked from" \
    names "ib-oauth-$version.cdx.json" "$version" redb redis aws-sdk-dynamodb rustls ring axum
check "the plugin's bill of materials has what it is linked from" \
    names "ib-gateway-plugin-$version.cdx.json" "$version" proxy-wasm serde_json lru

STEP='[3/4] '
if ! command -v skopeo >/dev/null; then
    say "installing skopeo by apt-get, once"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo --non-interactive)
    { "${as_root[@]}" apt-get update -q && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends skopeo; } >"$work/log" 2>&1 || true
fi
if command -v skopeo >/dev/null; then
    image=oci-archive:ib-gateway-plugin-$version.oci.tar
    has_digest() {
        skopeo inspect --format '{{.Digest}}' "$image" | diff - "ib-gateway-plugin-$version.oci.digest"
    }
    check "skopeo reads the image, and finds the digest that is told" has_digest
    has_plugin() {
        # skopeo checks each blob against its digest as it copies.
        skopeo copy --quiet --insecure-policy "$image" "dir:$work/image" &&
            [ "$(python3 -c 'import json; print(len(json.load(open("'"$work"'/image/manifest.json"))["layers"]))')" -eq 1 ] &&
            layer=$(python3 -c 'import json; print(json.load(open("'"$work"'/image/manifest.json"))["layers"][0]["digest"][7:])') &&
            tar --extract --gzip --to-stdout --file "$work/image/$layer" plugin.wasm | cmp - "ib-gateway-plugin-$version.wasm"
    }
    check "its only layer has the plugin, byte for byte" has_plugin
else
    skip "skopeo is not installed, and apt-get could not install it: the image was not read"
fi

STEP='[4/4] '
cd "$repository"
dist "$work/second" >/dev/null
check "packing again gives the same bytes" diff "$work/first/SHA256SUMS" "$work/second/SHA256SUMS"
say "building the plugin from nothing, in another folder"
mkdir "$work/elsewhere"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$work/elsewhere"
builds_the_same() {
    env -u IB_GATEWAY_LOCKED CARGO_TARGET_DIR="$work/target" "$work/elsewhere/scripts/build-plugin.sh" "$work/plugin.wasm" &&
        cmp "$work/plugin.wasm" "$work/first/ib-gateway-plugin-$version.wasm"
}
check "the plugin that is built in another folder is the same, byte for byte" builds_the_same

say "$SECONDS s in all"
result="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || result="$result, $skipped skipped"
printf '%s\n' "$result"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
