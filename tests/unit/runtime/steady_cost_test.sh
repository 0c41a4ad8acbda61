#!/bin/sh
# What an item of a local swarm costs does not depend on how many there are: bytes allocated per item at 10^4, 10^5 and 10^6,
# instructions at 10^4 and 10^5, are equal within 10 %. Store operations are shared by as many items as end within a moment, so
# their number follows the machine's mood: never more than 2 an item, and mostly a tenth of one. And an item with a result of its
# own takes at most 2 allocations, the result's included, drawn or added. From each an empty swarm's are subtracted.
#
#     steady_cost_test.sh PROGRAM [instructions-too-at-ITEMS]
set -eu
program=$1
failed=0

per_item() { awk -v all="$1" -v none="$2" -v n="$3" 'BEGIN { printf "%.3f", (all - none) / n }'; }

same() {
    if awk -v a="$2" -v b="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(b > 0 && d <= 0.1 * b) }'; then
        return
    fi
    echo "FAILED: $1 per item: $2 at $4, $3 at 10000: more than 10 % apart"
    failed=1
}

instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" plain "$1" 2>&1 |
        awk '/Collected :/ { print $4; found = 1 } END { exit !found }'
}

set -- "$program" "${2:-100000}" $("$program" count 0)
most=$2 operations0=$3 bytes0=$4
for n in 10000 100000 1000000; do
    set -- $("$program" count "$n")
    operations=$(per_item "$1" "$operations0" "$n")
    bytes=$(per_item "$2" "$bytes0" "$n")
    echo "$n items: $operations store operations, $bytes bytes allocated per item"
    if [ "$n" = 10000 ]; then
        bytes1=$bytes
    fi
    if ! awk -v each="$operations" 'BEGIN { exit !(each > 0 && each <= 2) }'; then
        echo "FAILED: $operations store operations per item: more than 2"
        failed=1
    fi
    same 'bytes allocated' "$bytes" "$bytes1" "$n"
done

for kind in results added; do
    empty=$("$program" "$kind" 0)
    for n in 1000 10000 100000; do
        each=$(per_item "$("$program" "$kind" "$n")" "$empty" "$n")
        echo "$n items ($kind): $each allocations per item with its result"
        if ! awk -v each="$each" 'BEGIN { exit !(each >= 1 && each <= 2) }'; then
            echo "FAILED: $each allocations per item: not between 1, its result, and 2"
            failed=1
        fi
    done
done

if ! command -v valgrind >/dev/null 2>&1; then
    echo 'skipped: valgrind is not installed, so that no instructions can be counted'
    [ "${CI:-}" = true ] && exit 1
    [ $failed = 0 ] && exit 77
    exit 1
fi
empty=$(instructions 0)
for n in 10000 100000 1000000; do
    [ "$n" -le "$most" ] || continue
    cost=$(per_item "$(instructions "$n")" "$empty" "$n")
    echo "$n items: $cost instructions per item"
    [ "$n" = 10000 ] && cost1=$cost
    same instructions "$cost" "$cost1" "$n"
done
exit $failed
