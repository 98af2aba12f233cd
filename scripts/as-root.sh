#!/usr/bin/env bash
# Runs a command as root, through sudo where needed.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
    exec "$@"
elif command -v sudo >/dev/null; then
    exec sudo -- "$@"
fi
printf 'picket needs root and sudo is not installed; run as root: %s\n' "$*" >&2
exit 1
