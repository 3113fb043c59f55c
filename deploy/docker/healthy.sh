#!/bin/bash
# The health check of the images: whether a port of this container answers 200. There is no HTTP client in
# them, and bash is in every base.
#     healthy PORT PATH
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n' "$2" >&3
read -r _ status _ <&3
[ "$status" = 200 ]
