#!/usr/bin/env bash
# Runs the benchmarks; each prints its table. Needs root for the live part.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p picket -p picket-bench-sensor
echo "## The sensor"
scripts/as-root.sh "$target/release/picket-bench-sensor" "$target/release/picket"
