#!/usr/bin/env bash
# Runs every test. Arguments go to the test runner (a filter, for example).
# The runner's summary comes last.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}

# The end-to-end tests load eBPF programs: root, for them alone.
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null; then
        export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='sudo -E --'
    else
        echo 'test: neither root nor sudo: tests that load eBPF programs will say that they are skipped' >&2
    fi
fi

cargo build --locked -p picket
PICKET_BIN=$(realpath "$target")/debug/picket
export PICKET_BIN

if compgen -G 'rules/*' >/dev/null; then
    "$PICKET_BIN" rules test rules/
fi
cargo test --locked --workspace --doc --quiet

# What could not be tested here, and why: passing tests do not show it.
PICKET_SKIPPED=$(mktemp)
export PICKET_SKIPPED
trap 'cat "$PICKET_SKIPPED"; rm -f "$PICKET_SKIPPED"' EXIT

# Requests that nobody here thought of, the same ones each time: `make fuzz-api` finds
# others. A filter asks for certain tests: not for this.
if [ $# = 0 ]; then
    scripts/fuzz-api.sh 45 1 || {
        [ $? = 75 ] || exit 1
        echo 'skipped: the API with generated requests: schemathesis is not to be had (see above)' >>"$PICKET_SKIPPED"
    }
fi

if ! cargo nextest --version >/dev/null 2>&1; then
    echo 'test: installing cargo-nextest (once)' >&2
    cargo install --locked cargo-nextest ||
        echo 'test: cargo-nextest could not be installed; cargo test takes its place' >&2
fi
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace --no-fail-fast "$@"
else
    # One after another: nextest's groups, which keep sensors apart, are not there.
    cargo test --locked --workspace --lib --bins --tests --no-fail-fast -- --test-threads=1 "$@"
fi
