#!/bin/sh
# Install into a new prefix, move it, and build a small program against it by pkg-config and by find_package.
# SPDX-License-Identifier: MIT
# usage: check_install.sh SOURCE_TREE BUILD_TREE CC CFLAGS
set -eu
tests=$1/tests/build build=$2 cc=$3 flags=${4-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/prefix"
pc=$(dirname "$(find "$work/prefix" -name libmp.pc)")
export PKG_CONFIG_PATH="$pc" LD_LIBRARY_PATH="${pc%/pkgconfig}"

run() {
    "$@" >"$work/output"
    diff "$tests/family.expected" "$work/output"
}
# shellcheck disable=SC2046,SC2086  # flags are words
"$cc" $flags "$tests/family.c" -o "$work/shared" $(pkg-config --cflags --libs libmp)
run "$work/shared"
# shellcheck disable=SC2046,SC2086
"$cc" $flags "$tests/family.c" -o "$work/static" $(pkg-config --cflags libmp) "${pc%/pkgconfig}/libmp.a" \
    $(pkg-config --static --libs-only-other libmp)
run "$work/static"
cmake -S "$tests/consumer" -B "$work/consumer" -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$flags" \
    -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/consumer" >"$work/log" || { cat "$work/log"; exit 1; }
run "$work/consumer/with_mp"
run "$work/consumer/with_mp_static"
