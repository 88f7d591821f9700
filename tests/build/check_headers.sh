#!/bin/sh
# Every public header compiles alone, as C11 and as C++17, by each compiler that is here, and is shorter than 250 lines.
# SPDX-License-Identifier: MIT
# usage: check_headers.sh SOURCE_TREE
cd "$1/include" || exit 2
bad=0
for header in mp/*.h; do
    lines=$(wc -l <"$header")
    [ "$lines" -lt 250 ] || { echo "$header: $lines lines"; bad=1; }
    for compiler in gcc:c:c11 clang:c:c11 g++:c++:c++17 clang++:c++:c++17; do
        IFS=: read -r program language standard <<EOF
$compiler
EOF
        command -v "$program" >/dev/null || continue
        echo "#include \"$header\"" | "$program" -I. -x "$language" -std="$standard" -Wall -Wextra -pedantic -Werror \
            -fsyntax-only - || { echo "$header: not by $program as $standard"; bad=1; }
    done
done
exit $bad
