#!/bin/bash
# C3: at run time the library needs libc and nothing else; also its name, and the link options that
# protect the program it is loaded into.
set -euo pipefail
library=$1
failures=0

expect() {  # expect WHAT EXPECTED FOUND
  if [[ $2 != "$3" ]]; then
    printf '%s: expected "%s", found "%s"\n' "$1" "$2" "$3" >&2
    failures=$((failures + 1))
  fi
}

dynamic=$(readelf --wide --dynamic "$library")
entry() { sed -n "s/.*($1).*\[\(.*\)\]/\1/p" <<<"$dynamic" | paste -sd ' '; }

expect "NEEDED" "libc.so.6" "$(entry NEEDED)"
expect "SONAME" "libinflight.so.0" "$(entry SONAME)"
expect "RPATH and RUNPATH" "" "$(entry 'RPATH|RUNPATH')"
# Not unloadable: threads may be running in it. Bound at once: no lock of the loader inside a
# signal handler.
expect "flags" "NOW NODELETE" "$(sed -n 's/.*(FLAGS_1).*Flags: //p' <<<"$dynamic")"
expect "relocations in code" "0" "$(grep -c TEXTREL <<<"$dynamic" || true)"

stack=$(readelf --wide --program-headers "$library" | awk '$1 == "GNU_STACK" {print $7}')
expect "flags of the stack" "RW" "$stack"

# Every undefined name that is not weak comes from libc, by a version of glibc's that Debian 12's
# has (2.36); nothing mangled, nothing of libstdc++.
undefined=$(nm --dynamic --undefined-only --with-symbol-versions "$library" | awk '$1 == "U" {print $2}')
[[ -n $undefined ]] || { echo "no undefined names: nm was misread" >&2; exit 1; }
strange=$(grep -E -e '^(_Z|__cxa_(throw|guard|pure|allocate|begin|end|rethrow)|__gxx)' <<<"$undefined" \
  -e '@([^G]|G[^L]|GLIBCXX)|^[^@]*$|@GLIBC_2\.(3[7-9]|[4-9][0-9])' || true)
expect "names that libc does not have" "" "$strange"

((failures == 0)) || exit 1
echo "needs libc.so.6 only; $(wc -l <<<"$undefined") names from it"
