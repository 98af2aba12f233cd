#!/usr/bin/env bash
# Runs the benchmarks; each prints its table.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked -p picket
cargo bench --locked --workspace "$@"
