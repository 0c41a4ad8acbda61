#!/bin/bash
# header_test.sh COMPILER LANGUAGE STANDARD INCLUDE[:INCLUDE] HEADER: the header compiles alone, and twice, without a warning.
set -euo pipefail
compiler=$1 language=$2 standard=$3 include=$4 header=$5
IFS=: read -r -a folders <<< "$include"
# No -I but the public headers, no _GNU_SOURCE: a header must not lean on what our own build defines.
printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
    "$compiler" -x "$language" "-std=$standard" -pedantic-errors -Wall -Wextra -Werror "${folders[@]/#/-I}" -fsyntax-only -
