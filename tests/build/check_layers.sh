#!/bin/sh
# A layer includes only itself and those before it in src/LAYERS; the library includes neither the umbrella header nor "../".
# SPDX-License-Identifier: MIT
# usage: check_layers.sh SOURCE_TREE
cd "$1/src" || exit 2
awk '
    FNR == NR { rank[$1] = ++layers; next }
    FNR == 1 { split(FILENAME, part, "/"); mine = part[2] }
    !(mine in rank) { print FILENAME ": in no layer of src/LAYERS"; bad = 1; nextfile }
    !/^ *# *include "/ { next }
    { split($0, quote, "\""); split(quote[2], part, "/") }
    part[1] == "mp" && quote[2] != "mp/mp.h" { next }
    !(part[1] in rank) || rank[part[1]] > rank[mine] { print FILENAME ":" FNR ": " quote[2] " is not below " mine; bad = 1 }
    END { exit bad }' LAYERS $(find . -mindepth 2 -name '*.[ch]')
