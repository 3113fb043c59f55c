#!/usr/bin/env bash
# Runs the pages in a real Chromium, on stacks of their own, and ends with a line that counts:
#     scripts/test-browser.sh [login] [console]
# With IB_GATEWAY_PICTURES=FOLDER every page is also kept as a picture, at three widths, light and dark.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
cd "$repository"

need_rust
need_python
need_node
[ $# -gt 0 ] || set -- login console
for suite in "$@"; do
    [ -f "tests/browser/$suite.test.mjs" ] || refuse "there is no suite '$suite'; there are login and console."
done
own_target_folder "$@"

# find_chromium: CHROMIUM, or one on the PATH, or Debian's, which is installed where that is possible.
find_chromium() {
    local name
    if [ -n "${CHROMIUM:-}" ]; then
        [ -x "$CHROMIUM" ] || refuse "CHROMIUM=$CHROMIUM is no program."
        return
    fi
    for name in chromium chromium-browser google-chrome; do
        CHROMIUM=$(command -v "$name") && return
    done
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        refuse "There is no Chromium." \
            "Install it, for instance: sudo apt-get install chromium" "or set CHROMIUM to its path."
    fi
    say "installing Chromium (apt, once)"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2
    CHROMIUM=$(command -v chromium) || refuse "Debian's package chromium brought no chromium."
}

binaries=$repository/target/run/bin
tests=$repository/tests/browser
installed=$cache/browser

started=$SECONDS
say "[1/4] the programs"
scripts/build.sh "$binaries"
say "[2/4] the plugin and Envoy"
scripts/build-plugin.sh "$binaries/plugin.wasm"
ENVOY=$(scripts/envoy.sh) && export ENVOY
say "[3/4] Chromium, Playwright and axe"
find_chromium
export CHROMIUM
install_npm "$tests" "$installed"
# JavaScript finds its packages beside its own file.
cp "$tests"/*.mjs "$installed/"
say "[4/4] the pages in $("$CHROMIUM" --version 2>/dev/null || echo Chromium)"
# Everything is on loopback: nothing goes through a proxy of this machine.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
alone=()
# Chromium breaks requests off when an interface of the machine comes or goes (ERR_NETWORK_CHANGED), as those of
# containers do. Where it may, everything runs in a network of its own, which has loopback alone.
if command -v ip >/dev/null && unshare --net ip link set lo up 2>/dev/null; then
    alone=(unshare --net sh -c 'ip link set lo up && exec "$@"' sh)
else
    say "no network of its own: a container that starts meanwhile can break requests off"
fi
status=0
IB_GATEWAY_BIN=$binaries IB_GATEWAY_STACKS=$repository/target/stacks \
    "${alone[@]}" node "$installed/run.mjs" "${@/%/.test.mjs}" || status=$?
say "$((SECONDS - started)) s in all"
exit "$status"
