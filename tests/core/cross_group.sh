#!/bin/sh
# cross_group.sh [FLAGS...]
#
# test_group.c for AArch64 under qemu-user, and for x86-64 with AVX2; exits with 77 (skipped) where the
# cross compiler, qemu or the processor is missing.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build COMPILER OUTPUT FLAGS...
build()
{
    compiler=$1 output=$2
    shift 2
    "$compiler" -std=c11 -O2 -Wall -Wextra -Werror -DCROSS_GROUP -I"$root" "$@" \
        "$root/tests/core/test_group.c" -o "$work/$output"
}

ran=0
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
    build aarch64-linux-gnu-gcc neon -static
    qemu-aarch64 "$work/neon"
    ran=1
fi
if grep -qsw avx2 /proc/cpuinfo; then
    build "${CC:-cc}" avx2 -mavx2
    "$work/avx2"
    ran=1
fi
[ "$ran" = 1 ] || exit 77
