#!/bin/sh
# Installs by name what `python -m benchmarks` measures beside us: nginx, haproxy, wrk and Node.js from Debian or Ubuntu,
# http-proxy from npm into a temporary folder, fastapi-proxy-lib and aiohttp into the Python given as PYTHON.
set -eu

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

PATH="$PATH:/usr/sbin:/usr/local/sbin"
packages=""
servers=""
for name in nginx haproxy wrk; do
    command -v "$name" >/dev/null || packages="$packages $name"
done
for name in nginx haproxy; do
    command -v "$name" >/dev/null || servers="$servers $name"
done
command -v node >/dev/null || packages="$packages nodejs"
command -v npm >/dev/null || packages="$packages npm"

if [ -n "$packages" ]; then
    as_root apt-get update
    # shellcheck disable=SC2086 # names without spaces, one argument each
    as_root apt-get install -y --no-install-recommends $packages
fi
# Debian starts servers that it has just installed. The benchmark starts its own on free ports and wants the cores.
for name in $servers; do
    if [ -d /run/systemd/system ]; then as_root systemctl disable --now "$name"; fi
done

npm install --no-audit --no-fund --prefix "${TMPDIR:-/tmp}/hydra-benchmarks" http-proxy
"${PYTHON:-python}" -m pip install uvicorn uvloop httptools websockets fastapi-proxy-lib aiohttp
