#!/usr/bin/env bash
# Runs the benchmarks; each prints its table. Arguments go to the engine's.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p picket -p picket-bench-sensor -p picket-bench-store \
    -p picket-bench-fleet -p picket-bench-intel
echo '## The sensor'
scripts/as-root.sh "$target/release/picket-bench-sensor" "$(realpath "$target")/release/picket"
echo '## The store'
"$target/release/picket-bench-store"
"$target/release/picket-bench-store" graph
# --sensors 10000 takes some minutes: by hand (docs/performance.md).
echo '## The control plane'
"$target/release/picket-bench-fleet"
echo '## Indicators'
"$target/release/picket-bench-intel"
echo '## The engine'
# Other engines are measured beside ours where they can be built.
peers=()
if pkg-config --exists libhs 2>/dev/null; then
    peers+=(vectorscan)
else
    echo 'bench: without vectorscan (apt-get install libvectorscan-dev adds it)' >&2
fi
rust=$(rustc -V | cut -d' ' -f2)
if printf '1.95.0\n%s\n' "$rust" | sort -CV; then
    peers+=(rsigma)
else
    echo "bench: without rsigma-eval, which needs Rust 1.95 (this is $rust)" >&2
fi
cargo build --release --locked --manifest-path benches/engine/Cargo.toml \
    --target-dir "$target/bench-engine" --features "${peers[*]}"
"$target/bench-engine/release/picket-engine-bench" --write "$@"
