#!/bin/sh
# List functions that store into the arena and have no kill point behind it, unless points_allowed.txt says why not.
# SPDX-License-Identifier: MIT
# usage: check_points.sh SOURCE_TREE
cd "$1" || exit 2
allowed=tests/build/points_allowed.txt
awk -v allowed="$allowed" '
    function complain(text) { print text; bad = 1 }
    FILENAME == allowed { if (NF > 1 && !/^#/) reason[$1] = $0; next }
    FNR == 1 { file = FILENAME; sub(/.*\//, "", file); inside = 0; head = "" }
    # A function begins at a line that starts with a letter; its name stands before the first bracket.
    /^[a-zA-Z_].*\(/ && !inside { head = $0 }
    head != "" && !inside && /\{$/ {
        name = head; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
        inside = 1; stores = 0; points = 0; line = FNR
    }
    head != "" && !inside && /;$/ { head = "" }
    inside && /atomic_(store|exchange|compare_exchange|fetch_)/ { stores++ }
    inside && /MP__POINT\(/ { points++ }
    /^\}/ && inside {
        key = file ":" name
        if (stores && !points && !(key in reason)) complain(FILENAME ":" line ": " name " stores into the arena and has no MP__POINT")
        if (key in reason && (!stores || points)) complain(allowed ": " key " needs no exception any more")
        seen[key] = 1; inside = 0; head = ""
    }
    END {
        for (key in reason) if (!(key in seen)) complain(allowed ": there is no " key)
        exit bad
    }' "$allowed" $(find src/shm src/reg src/sync src/chan src/proc src/pool -name '*.[ch]' | sort)
