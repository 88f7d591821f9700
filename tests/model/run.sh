#!/bin/sh
# Checks the models exhaustively with spin, and that each finds the mistakes it can be given. Exit 77: no spin here.
# SPDX-License-Identifier: MIT
set -eu
command -v spin >/dev/null || exit 77
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# check EXPECTED_ERRORS MODEL "SPIN OPTIONS" "COMPILER OPTIONS" "RUN OPTIONS"
check() {
    rm -f pan*
    spin $3 -a "$here/$2.pml" >spin.log || { cat spin.log; exit 1; }
    ${CC:-cc} -O1 -w -DCOLLAPSE $4 -o pan pan.c
    ./pan -m2000000 $5 >pan.log || true
    printf '%-8s %-46s %s\n' "$2" "$3" "$(grep -oE '[0-9]+ states, stored' pan.log)"
    if grep -q 'max search depth too small\|out of memory' pan.log; then echo 'the search is not complete'; exit 1; fi
    if ! grep -q "errors: $1" pan.log; then
        echo "expected: errors: $1"
        cat pan.log
        exit 1
    fi
}

check 0 lock "-DN=2 -DCRASHES=1 -DSAFE_ONLY" -DSAFETY ""
check 0 lock "-DN=3 -DCRASHES=0 -DSAFE_ONLY" -DSAFETY ""
check 0 lock "-DN=3 -DCRASHES=2 -DSAFE_ONLY" -DSAFETY ""
check 0 lock "-DN=2 -DCRASHES=1" "" "-a -f"
check 1 lock "-DN=3 -DCRASHES=0 -DSAFE_ONLY -DBROKEN=1" -DSAFETY ""
check 1 lock "-DN=2 -DCRASHES=1 -DSAFE_ONLY -DBROKEN=2" -DSAFETY ""
check 0 release "-DN=2 -DROUNDS=3 -DTURNS=2" -DSAFETY ""
check 0 release "-DN=3 -DROUNDS=2 -DTURNS=1" -DSAFETY ""
check 1 release "-DN=3 -DROUNDS=2 -DBROKEN=1" -DSAFETY ""
check 1 release "-DN=3 -DROUNDS=2 -DBROKEN=2" -DSAFETY ""
check 1 release "-DN=3 -DROUNDS=2 -DBROKEN=3" -DSAFETY ""
check 1 release "-DN=3 -DROUNDS=2 -DBROKEN=4" -DSAFETY ""
check 1 release "-DN=3 -DROUNDS=2 -DBROKEN=5" -DSAFETY ""
check 1 release "-DN=3 -DROUNDS=2 -DBROKEN=6" -DSAFETY ""
check 0 channel "-DWRITERS=1 -DREADERS=1 -DEACH=4 -DCRASHES=2" -DSAFETY ""
check 0 channel "-DWRITERS=1 -DREADERS=2 -DEACH=2 -DCRASHES=2" -DSAFETY ""
check 0 channel "-DWRITERS=1 -DREADERS=2 -DEACH=3 -DCRASHES=1" -DSAFETY ""
check 0 channel "-DWRITERS=2 -DREADERS=1 -DEACH=2 -DCRASHES=1" -DSAFETY ""
check 1 channel "-DWRITERS=1 -DREADERS=1 -DEACH=2 -DCRASHES=1 -DBROKEN=1" -DSAFETY ""
check 1 channel "-DWRITERS=1 -DREADERS=1 -DEACH=2 -DCRASHES=1 -DBROKEN=2" -DSAFETY ""
check 0 lease "-DPROCESSES=2 -DMESSAGES=3 -DCRASHES=1" -DSAFETY ""
check 0 lease "-DPROCESSES=3 -DMESSAGES=2 -DCRASHES=2" -DSAFETY ""
check 1 lease "-DPROCESSES=2 -DMESSAGES=2 -DCRASHES=1 -DBROKEN=1" -DSAFETY ""
check 1 lease "-DPROCESSES=3 -DMESSAGES=1 -DCRASHES=2 -DBROKEN=2" -DSAFETY ""
check 1 lease "-DPROCESSES=3 -DMESSAGES=1 -DCRASHES=2 -DBROKEN=3" -DSAFETY ""
