#!/usr/bin/env bash
# Builds every fuzz target on stable Rust and runs each for a few seconds, so
# that none of them rots. Usage: scripts/fuzz-smoke.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-10}
if [ ! -f fuzz/Cargo.toml ]; then
    echo 'fuzz-smoke: no fuzz targets' >&2
    exit 0
fi

target=${CARGO_TARGET_DIR:-target}/fuzz
mkdir -p "$target"
target=$(realpath "$target")
cargo build --release --manifest-path fuzz/Cargo.toml --target-dir "$target"

for source in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$source" .rs)
    echo "fuzz-smoke: $name, $seconds s" >&2
    mkdir -p "$target/corpus/$name"
    "$target/release/$name" -max_total_time="$seconds" -print_final_stats=0 \
        -artifact_prefix="$target/" "$target/corpus/$name"
done
