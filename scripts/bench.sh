#!/usr/bin/env bash
# Runs the benchmarks; each prints its table. Arguments go to the engine's.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p picket -p picket-bench-sensor
echo '## The sensor'
scripts/as-root.sh "$target/release/picket-bench-sensor" "$(realpath "$target")/release/picket"
echo '## The engine'
# Other engines are measured beside ours where their libraries are installed.
features=()
if pkg-config --exists libhs 2>/dev/null; then
    features=(--features peers)
else
    echo 'bench: without vectorscan (apt-get install libvectorscan-dev adds it)' >&2
fi
cargo build --release --locked --manifest-path benches/engine/Cargo.toml \
    --target-dir "$target/bench-engine" "${features[@]}"
"$target/bench-engine/release/picket-engine-bench" --write "$@"
