#!/bin/bash
# C1: with the library preloaded, the dynamic linker binds each name of <aio.h> that PROGRAM refers
# to, at the version it refers to, to the library and not to glibc.
set -euo pipefail
library=$1 list=$2 program=$3

# The references, as NAME@VERSION, that must be answered.
wanted=$(nm --dynamic --undefined-only --with-symbol-versions "$program" |
  awk '$1 == "U" {print $2}' | grep -E '^(aio_|lio_)' | sort -u)
[[ -n $wanted ]] || { echo "$program refers to no name of <aio.h>" >&2; exit 1; }

# LD_DEBUG lines read: "PID: binding file A [0] to B [0]: normal symbol `NAME' [VERSION]".
log=$(LD_DEBUG=bindings LD_PRELOAD=$library "$program" 2>&1 >/dev/null)

failures=0
while IFS=@ read -r name version; do
  line=$(grep -F "binding file $program [0] to " <<<"$log" | grep -F "\`$name' [$version]" || true)
  if [[ $line != *" to $library [0]: "* ]]; then
    echo "$name@$version: not bound to the library: ${line:-not bound at all}" >&2
    failures=$((failures + 1))
  fi
done <<<"$wanted"

# The library's own names are all the program may use of it: the list is complete.
while IFS=@ read -r name _; do
  grep -qx "$name" "$list" || { echo "$name is not in $list" >&2; failures=$((failures + 1)); }
done <<<"$wanted"

((failures == 0)) || exit 1
echo "bound to the library: ${wanted//$'\n'/ }"
