#!/bin/sh
# idle.sh PROGRAM SECONDS: count the system calls of the program's threads while they are idle; there must be none.
# Without strace, or where tracing is forbidden: skipped (77), but a failure where CI is true.
set -eu
program=$1 seconds=$2
trace=$(mktemp)
trap 'rm -f "$trace"' EXIT
if ! strace -o "$trace" true 2>/dev/null; then
    echo "strace is not installed or not allowed"
    [ "${CI:-}" = true ] && exit 1
    exit 77
fi
strace -f -o "$trace" "$program" "$seconds" 2>/dev/null
awk -v seconds="$seconds" '
    /"idle begins/ { within = 1; main = $1; next }
    /"idle ends/   { within = 0; ended = 1 }
    within && $1 != main { calls++; print }
    END {
        if (!ended) { print "the program did not get to its end"; exit 1 }
        printf "%d system calls by idle threads in %d s\n", calls, seconds
        exit calls > 0
    }' "$trace"
