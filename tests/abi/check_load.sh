#!/bin/bash
# C3: loading the library starts no thread, opens no descriptor, allocates nothing and leaves the
# program's signals alone. The program describes itself at the start of main; with the library
# preloaded the description must be the same as without.
set -euo pipefail
library=$1 program=$2

alone=$("$program")
loaded=$(LD_PRELOAD=$library "$program" loaded)

if ! diff <(echo "$alone") <(echo "$loaded"); then
  echo "loading the library changed what is described above ('<' without, '>' with it)" >&2
  exit 1
fi
echo "$loaded"
