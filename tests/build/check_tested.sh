#!/bin/sh
# Every function that a public header declares is called somewhere in the tests.
# SPDX-License-Identifier: MIT
# usage: check_tested.sh SOURCE_TREE
cd "$1" || exit 2
bad=0
for name in $(sed -n '/^static/d; s/^[a-z][a-z_ ]*[ *]\(mp_[a-z0-9][a-z0-9_]*\)(.*/\1/p' include/mp/*.h | sort -u); do
    grep -rqE "\b$name\(" tests --include='*.[ch]' || { echo "$name: no test calls it"; bad=1; }
done
exit $bad
