#!/bin/sh
# Fuzz a target with libFuzzer and AddressSanitizer; new inputs and crashes go into the working directory.
# SPDX-License-Identifier: MIT
# usage: fuzz.sh pickle|frames|challenge|manager SECONDS [WORK_DIRECTORY]
set -eu
tree=$(cd "$(dirname "$0")/../.." && pwd)
work=${3:-$(mktemp -d)}
mkdir -p "$work/found"
"${CC:-clang}" -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    -ffunction-sections -Wl,--gc-sections -I "$tree/src" -I "$tree/include" -o "$work/fuzz_$1" \
    "$tree/tests/fuzz/fuzz_$1.c" $(ls "$tree"/src/*/*.c | grep -v _portable) -lpthread -ldl -lm
cd "$work"
exec "./fuzz_$1" -max_total_time="$2" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 found "$tree/tests/fuzz/corpus/$1"
