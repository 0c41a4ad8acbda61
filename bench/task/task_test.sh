#!/bin/bash
# task_test.sh local|redis|wrong: bench_task gives a report, and says what is wrong with a command line. No time passes or fails.
#
# BENCH_TASK is the program, TASKS the example module.
set -uo pipefail
work=$(mktemp -d)
redis=
trap '[ -z "$redis" ] || { kill "$redis"; wait "$redis"; } 2> /dev/null; rm -rf "$work"' EXIT
failed=0

# bench CODE ERR ARGUMENT...: its exit code, and what standard error says ('' for nothing)
bench() {
    local want=$1 says=$2 code=0
    shift 2
    BENCH_JSON=$work/json "$BENCH_TASK" "$@" > "$work/out" 2> "$work/err" || code=$?
    if [ "$code" != "$want" ] || ! { [ -z "$says" ] && [ ! -s "$work/err" ] || { [ -n "$says" ] && grep -Eq -- "$says" "$work/err"; }; }; then
        echo "bench_task $*: expected exit code $want and /$says/, got $code"
        cat "$work/out" "$work/err"
        failed=1
    fi
}

# measure URL: a whole report of both tasks, with figures above nothing
measure() {
    bench 0 '' --url "$1" --load "$TASKS" --tasks 50 --rounds 2 --seconds 0.5 nothing
    bench 0 '' --url "$1" --load "$TASKS" --tasks 20 --rounds 2 --seconds 0.5 --threads 2 --message '{"from": 27}' collatz
    for line in '^## collatz on ' '^- CPU: ' '20 tasks a round, 2 rounds' '^\| one by one \| \*\*[1-9]' '^\| 100 a call \| \*\*[1-9]' \
        '^\| as a swarm, 30 in flight \| \*\*[1-9]' '^\| until its result is back \| \*\*[0-9.]*[1-9]'; do
        grep -Eq -- "$line" "$work/out" || { echo "the report has no line /$line/"; cat "$work/out"; failed=1; }
    done
    grep -q '"title": "Until all have run".*"rounds": \[[1-9]' "$work/json" || { echo "no figures"; cat "$work/json"; failed=1; }
}

case $1 in
local)
    measure local:
    ;;
redis)
    command -v redis-server > /dev/null || { echo "skipped: no redis-server here"; exit 77; }
    redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work" > "$work/log" 2>&1 &
    redis=$!
    for _ in $(seq 200); do
        [ -S "$work/redis.sock" ] && redis-cli -s "$work/redis.sock" ping > /dev/null 2>&1 && break
        sleep 0.05
    done
    redis-cli -s "$work/redis.sock" config set requirepass hidden > /dev/null
    measure "taskiq+unix://:hidden@$work/redis.sock?lease=5s"
    ! grep -q -e hidden -e lease= "$work/out" || { echo "the report shows the URL's secrets"; failed=1; }
    ;;
wrong)
    load=(--load "$TASKS")
    bench 2 'no task "nosuch" was declared; known: nothing, collatz' "${load[@]}" nosuch
    bench 2 'field "from": required, but missing' "${load[@]}" collatz
    bench 2 'expected a key' "${load[@]}" --message '{' collatz
    bench 2 'cannot load module: \./nosuch.so: [^;]*$' --load nosuch.so nothing
    bench 2 'no module: --load FILE.so' nothing
    bench 2 'expected the name of one TASK, got 0' "${load[@]}"
    bench 2 'unknown scheme "foo"; expected one of local:' --url foo: "${load[@]}" nothing
    bench 2 '--rounds: expected a number from 1 to 31, got "99"' "${load[@]}" --rounds 99 nothing
    bench 0 '' --help
    ;;
esac
exit $failed
