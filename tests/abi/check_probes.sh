#!/bin/bash
# The static probes (src/engine/probes.h) are there for perf, bpftrace and SystemTap to find.
set -euo pipefail
library=$1

find /usr/include -path "*/sys/sdt.h" 2>/dev/null | grep -q . || {
  echo "skipped: <sys/sdt.h> is missing, so there are none"
  exit 77
}
found=$(readelf --wide --notes "$library" | awk '/Provider: inflight$/ {getline; print $2}' |
  sort -u | paste -sd ' ')
if [[ $found != "cancel complete notify start submit" ]]; then
  echo "probes: expected \"cancel complete notify start submit\", found \"$found\"" >&2
  exit 1
fi
echo "probes: $found"
