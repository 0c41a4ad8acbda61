#!/bin/sh
# check.sh holds|fails MODEL [-DVARIANT]: verify a model exhaustively; `fails` wants a counterexample.
# Without spin: skipped (77), but a failure where CI is true.
set -eu
want=$1 model=$2 variant=${3:-}
if ! command -v spin >/dev/null; then
    echo "spin is not installed"
    [ "${CI:-}" = true ] && exit 1
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
spin -a $variant "$model" >spin.log || { cat spin.log; exit 1; }
${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c
./pan -m2000000 >pan.log 2>&1 || true
if grep -q "max search depth too small\|out of memory\|unreached in claim" pan.log || ! grep -q "errors:" pan.log; then
    cat pan.log
    exit 1
fi
errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
grep "^pan:\|states, stored\|errors:" pan.log
case $want in
holds) [ "$errors" -eq 0 ] ;;
fails) [ "$errors" -gt 0 ] ;;
esac
