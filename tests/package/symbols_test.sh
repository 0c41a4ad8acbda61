#!/bin/bash
# symbols_test.sh COMPILER LIBRARY INCLUDE[:INCLUDE] HEADER...: what the library exports is what these headers declare.
#
# The library may export more, as long as it is mf_ and declared in some public header: the pool holds all of base.
set -euo pipefail
compiler=$1 library=$2 include=$3
shift 3
IFS=: read -r -a folders <<< "$include"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! "$compiler" --version | grep -q 'Free Software Foundation'; then
    echo "skipped: only GCC lists the declarations of a header (-aux-info), and this is $compiler"
    exit 77
fi

# declared HEADER...: functions by GCC's own list, objects by their "extern"; static inline ones are nobody's export.
declared() {
    printf '#include <%s>\n' "$@" > "$work/all.c"
    "$compiler" -std=c11 "${folders[@]/#/-I}" -c -o "$work/all.o" -aux-info "$work/list" "$work/all.c"
    sed -nE 's/^.*\*\/ extern [^(]*[ *](mf_[a-z0-9_]+) \(.*$/\1/p' "$work/list"
    "$compiler" -std=c11 "${folders[@]/#/-I}" -E -P "$work/all.c" |
        sed -nE 's/^extern [^(]*[ *](mf_[a-z0-9_]+)(\[[^]]*\])?;$/\1/p'
}
every() { for folder in "${folders[@]}"; do (cd "$folder" && printf '%s\n' mageflow/*.h); done; }

nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u > "$work/exported"
declared "$@" | sort -u > "$work/wanted"
mapfile -t headers < <(every)
declared "${headers[@]}" | sort -u > "$work/known"
[ -s "$work/wanted" ] || { echo "no declaration found in $*"; exit 1; }

bad=0
report() {
    [ -s "$work/found" ] || return 0
    echo "$1:"
    sed 's/^/    /' "$work/found"
    bad=1
}
grep -v '^mf_' "$work/exported" > "$work/found" || true
report 'exported, and not mf_'
comm -23 "$work/wanted" "$work/exported" > "$work/found"
report 'declared in a public header, and not exported'
comm -13 "$work/known" "$work/exported" > "$work/found"
report 'exported, and declared in no public header'

echo "$(basename "$library"): $(wc -l < "$work/exported") symbols, $(wc -l < "$work/wanted") declarations asked for"
exit "$bad"
