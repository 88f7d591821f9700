#!/bin/sh
# What of the style a machine can see: sizes, first lines, leftovers of work, systems named outside src/os, naps in tests.
# SPDX-License-Identifier: MIT
# usage: check_style.sh SOURCE_TREE
cd "$1" || exit 2
awk '
    function complain(line, text) { print FILENAME ":" line ": " text; bad = 1 }
    FNR == 1 { start = 0; in_src = FILENAME ~ /^src\//; may_nap = FILENAME !~ /^tests\// || FILENAME ~ /^tests\/(support|bench|stress)\// }
    FNR == 1 && !/^\/\* / { complain(1, "the first line does not say what the file is for") }
    FNR == 601 { complain(FNR, "a file of more than 600 lines") }
    length($0) > 100 { complain(FNR, "longer than 100 columns") }
    /TODO|FIXME|[^X]XXX[^X]|HACK/ { complain(FNR, "work left for later") }
    /\t| $/ { complain(FNR, "tab or trailing blank") }
    /^#.*include "\.\.\// { complain(FNR, "include of ../") }
    in_src && FILENAME !~ /^src\/os\// && /^#.*(__linux__|__APPLE__|__FreeBSD__|MP__PORTABLE)/ { complain(FNR, "a system named outside src/os") }
    !may_nap && /[^a-z_](sleep|usleep|nanosleep)\(/ { complain(FNR, "a nap in a test: wait for the fact") }
    /^[a-zA-Z_].*\(/ { start = FNR; is_open = 0 }
    start && /\{$/ { is_open = 1 }
    start && !is_open && /;$/ { start = 0 }
    /^\}/ { if (start && FNR - start - 1 > 60) complain(start, "a function of " FNR - start - 1 " lines"); start = 0 }
    END { exit bad }' $(find src include tests examples -name '*.[ch]')
