#!/usr/bin/env bash
# Installs the Debian packages that Picket needs and mounts what its tests read.
# Usage: scripts/setup.sh [build|test]     (test includes build)
# Idempotent; well under a second when everything is there.
set -euo pipefail

# One line a package: name, then why.
build_packages='
bpftool          links the eBPF object
clang            compiles the eBPF programs
make             runs the Makefile and the build of libbpf
gcc              compiles libbpf and the C half of the bindings
libc6-dev        C headers and start files
pkg-config       finds C libraries
autoconf         builds elfutils (vendored with libbpf)
automake         builds elfutils
autopoint        builds elfutils
bison            builds elfutils
flex             builds elfutils
gawk             builds elfutils
gettext          builds elfutils
libtool          builds elfutils
libelf-dev       reads eBPF object files
zlib1g-dev       needed by libelf
'
test_packages='
busybox-static   user space of test containers and guests
g++              compiles libFuzzer, for the fuzz targets
iproute2         network namespaces for tests
nftables         cuts a network namespace of a test off
postgresql       a server that tests of the store start for themselves
python3-venv     runs schemathesis against the API
qemu-system-x86  guests: other kernels, and tests that could harm a host
runc             test containers
xz-utils         unpacks kernel modules for guests
'

die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Runs a command as root; says so, in one line, where that is impossible.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root and sudo is not installed; run as root: $*"
    fi
}

is_installed() {
    dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

install_missing() {
    local -a missing=()
    local name why
    while read -r name why; do
        [ -n "$name" ] || continue
        if ! is_installed "$name"; then
            missing+=("$name")
            printf 'setup: will install %-16s %s\n' "$name" "$why" >&2
        fi
    done <<<"$1"
    [ ${#missing[@]} -gt 0 ] || return 0

    command -v apt-get >/dev/null ||
        die "apt-get not found; install these by hand: ${missing[*]}"
    # The package lists are fetched only when those that are here do not suffice.
    if ! apt_install "${missing[@]}"; then
        echo 'setup: refreshing the package lists' >&2
        as_root apt-get update -q >&2
        apt_install "${missing[@]}" || die "apt-get could not install: ${missing[*]}"
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@" >&2
}

# Mounts a kernel file system if none of its type is mounted.
mount_if_missing() {
    local type=$1 target=$2
    ! awk -v type="$type" '$3 == type { found = 1 } END { exit !found }' /proc/mounts || return 0
    # In a subshell: to go without it is no reason to stop here, the sensor will say what it misses.
    if (as_root mkdir -p "$target" && as_root mount -t "$type" "$type" "$target"); then
        echo "setup: mounted $type at $target" >&2
    else
        echo "setup: $type is not mounted; as root: mount -t $type $type $target" >&2
    fi
}

case "${1:-build}" in
    build) wanted=$build_packages ;;
    test) wanted=$build_packages$test_packages ;;
    *) die "unknown set '$1' (build or test)" ;;
esac

command -v cargo >/dev/null || die 'cargo not found; install Rust first: https://rustup.rs'
install_missing "$wanted"
mount_if_missing tracefs /sys/kernel/tracing
mount_if_missing cgroup2 /sys/fs/cgroup/unified
