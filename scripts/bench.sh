#!/usr/bin/env bash
# Runs the benchmarks; each prints its table. Arguments go to the engine's.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p picket -p picket-bench-sensor
echo '## The sensor'
scripts/as-root.sh "$target/release/picket-bench-sensor" "$(realpath "$target")/release/picket"
echo '## The engine'
cargo run --release --locked --manifest-path benches/engine/Cargo.toml \
    --target-dir "$target/bench-engine" -- "$@"
