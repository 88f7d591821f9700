#!/bin/sh
# The program in the README compiles without warnings and prints what the README says.
# SPDX-License-Identifier: MIT
# usage: check_readme.sh SOURCE_TREE LIBRARY CC CFLAGS
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```$/ { inside = 0 } inside { print } /^```c$/ { inside = 1 }' "$1/README.md" >"$work/program.c"
# shellcheck disable=SC2086  # flags are words
"$3" ${4-} -std=c11 -Wall -Wextra -Werror -I "$1/include" "$work/program.c" -o "$work/program" "$2" -Wl,-rpath,"${2%/*}"
sed -n 's,.*/\* prints: \(.*\) \*/.*,\1,p' "$work/program.c" >"$work/expected"
"$work/program" >"$work/output"
diff "$work/expected" "$work/output"
