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
host=$(rustc -vV | awk '/^host:/ { print $2 }')

# Coverage for libFuzzer with flags that stable rustc takes. With --target they
# do not reach build scripts, which have no fuzzer to link with.
RUSTFLAGS='-Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Ccodegen-units=1'
RUSTFLAGS=$(tr -s '\n ' ' ' <<<"$RUSTFLAGS")
export RUSTFLAGS
cargo build --release --locked --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$target"

for source in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$source" .rs)
    corpus=$target/corpus/$name
    mkdir -p "$corpus"
    if ! "$target/$host/release/$name" -max_total_time="$seconds" -timeout=10 \
        -artifact_prefix="$target/$name-" "$corpus" >"$target/$name.log" 2>&1; then
        tail -n 40 "$target/$name.log" >&2
        echo "fuzz-smoke: $name failed" >&2
        exit 1
    fi
    echo "fuzz-smoke: $name: $(grep -E '^Done ' "$target/$name.log")" >&2
done
