#!/bin/sh
# The small program goes on where memory is scarce or odd: with little address space, and under valgrind.
# SPDX-License-Identifier: MIT
# usage: check_small.sh limit|valgrind SOURCE_TREE PROGRAM        exit code 77: valgrind is not installed
set -u
output=$(mktemp) || exit 2
trap 'rm -f "$output"' EXIT
case $1 in
limit) (ulimit -v 2000000 && "$3") >"$output" || exit 1 ;;
valgrind)
    command -v valgrind >/dev/null || exit 77
    timeout 170 valgrind -q --error-exitcode=3 --trace-children=yes "$3" >"$output" || exit 1
    ;;
esac
diff "$2/tests/build/family.expected" "$output"
