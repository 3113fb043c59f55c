#!/usr/bin/env bash
# Builds the service, the simulator and the launcher and copies them to a folder:
#     scripts/build.sh target/run/bin [further options of cargo build]
# What runs is always the copy: the target folder may be shared with other clones.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -ge 1 ] || refuse "usage: scripts/build.sh FOLDER [OPTIONS OF cargo build]"
need_rust
own_target_folder "$@"
mkdir -p "$1"
output=$(cd "$1" && pwd)
shift
cd "$repository"

read -r -a flags <<<"${CARGO_FLAGS:-}"
say "building the programs (target folder: $CARGO_TARGET_DIR)"
cargo build "${flags[@]}" --workspace --bins "$@" >&2
for program in ib-oauth ib-simulator ib-stack; do
    install_file "$CARGO_TARGET_DIR/debug/$program" "$output/$program"
done
