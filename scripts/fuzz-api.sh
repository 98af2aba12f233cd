#!/usr/bin/env bash
# Throws what schemathesis makes of the API's description at a server of its own, and
# fails on an answer that the description does not know, or that is a fault of the
# server. Usage: scripts/fuzz-api.sh [SECONDS [SEED]]   (needs python3-venv; fetches from PyPI, once)
# Ends with 75 (EX_TEMPFAIL of sysexits.h), and says why, if schemathesis is not to be had.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-120}
seed=${2:+--seed=$2}
target=${CARGO_TARGET_DIR:-target}
cargo build --locked -p picket
target=$(realpath "$target")
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$scratch"' EXIT

# Beside the build's own output: what was fetched once is not fetched again.
venv=$target/schemathesis-4
if [ ! -x "$venv/bin/schemathesis" ]; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'schemathesis>=4,<5'; } >&2; then
        rm -rf "$venv"
        echo 'fuzz-api: schemathesis could not be installed from PyPI into a python3 venv' >&2
        exit 75
    fi
fi

# On a loopback address, plain HTTP is spoken too.
cat >"$scratch/server.toml" <<TOML
data = "$scratch/data"
listen = "127.0.0.1:0"
[api]
requests_per_second = 1000000
burst = 1000000
[fleet]
listen = "127.0.0.1:0"
TOML
mkfifo "$scratch/messages"
"$target/debug/picket" server --config "$scratch/server.toml" 2>"$scratch/messages" &
server=$!
exec 3<"$scratch/messages"
while read -r line <&3; do
    case $line in
        'the API: https://'*) api=http://${line#the API: https://} ;;
        'first start: '*) password=$(sed 's/.*the password \([^ ]*\) .*/\1/' <<<"$line") ;;
        ready) break ;;
    esac
done
cat <&3 >"$scratch/log" &

# Asks as the administrator; the answer's token.
token_of() {
    "$venv/bin/python" - "$@" <<'PYTHON'
import json, sys, urllib.request
url, body, bearer = sys.argv[1:]
request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
if bearer:
    request.add_header("Authorization", "Bearer " + bearer)
print(json.load(urllib.request.urlopen(request))["token"])
PYTHON
}
session=$(token_of "$api/session" "{\"name\":\"admin\",\"password\":\"$password\",\"token\":true}" '')
token=$(token_of "$api/users/admin/tokens" '{"name":"fuzz"}' "$session")

# Left out is what would end the run itself: passwords, tokens, users, streams that do not end.
# What it remembers of a run is not the next one's.
cd "$scratch"
"$venv/bin/schemathesis" run "$api/openapi.json" \
    --header "Authorization: Bearer $token" \
    --phases coverage,fuzzing --max-time "$seconds" \
    ${seed:+"$seed"} --warnings off --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --exclude-path-regex 'stream|session|password|/tokens|/users'
