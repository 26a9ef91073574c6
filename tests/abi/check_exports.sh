#!/bin/bash
# C1: the library exports exactly the names of exports.txt, as functions, and without a version,
# so that a program bound to any version of glibc's names gets them.
set -euo pipefail
library=$1 list=$2

# nm prints "ADDRESS TYPE NAME", and NAME@VERSION or NAME@@VERSION for a versioned name.
found=$(nm --dynamic --defined-only --with-symbol-versions "$library" | awk '{print $2, $3}' | sort)
expected=$(sed -e '/^#/d' -e '/^$/d' -e 's/^/T /' "$list" | sort)

if ! diff <(echo "$expected") <(echo "$found"); then
  echo "exported names differ: '<' is missing, '>' is one too many or of the wrong type" >&2
  exit 1
fi
echo "$(wc -l <<<"$found") names, all unversioned functions"
