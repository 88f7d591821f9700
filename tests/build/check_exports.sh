#!/bin/sh
# libmp.so exports the functions that include/mp declares: those names, no more and no fewer.
# SPDX-License-Identifier: MIT
# usage: check_exports.sh SOURCE_TREE LIBRARY CC
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
for header in "$1"/include/mp/*.h; do
    "$3" -E -P -I "$1/include" -x c "$header"
done | grep -v '^static' | grep -oE '\bmp_[a-z][a-z0-9_]*\(' | tr -d '(' | sort -u >"$work/declared"
nm -D --defined-only "$2" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"
[ -s "$work/declared" ] || { echo "no declarations found"; exit 1; }
diff "$work/declared" "$work/exported" >"$work/difference" && exit 0
sed -n 's/^</declared, not exported:/p; s/^>/exported, not declared:/p' "$work/difference"
exit 1
