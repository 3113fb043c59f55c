#!/usr/bin/env bash
# Writes the pictures of the documents, docs/images/, from the tests that look at every page.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
IB_GATEWAY_PICTURES=$folder scripts/test-browser.sh
keep() { install_file "$folder/$1.png" "docs/images/$2.png" && say "docs/images/$2.png"; }
keep login-platform-768-light login-platform
keep login-open-768-dark login-open
keep console-calls-1280-light console
