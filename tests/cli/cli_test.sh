#!/bin/bash
# cli_test.sh CASE: one promise of the mageflow command, on the real command. Without CASE: the list of cases.
source "$(dirname "$0")/kit.sh"

task() { expect "$1" "$2" "$3" send --load "$TASKS" "${@:4}"; }

# ---- what works --------------------------------------------------------------------------------------------------------

case_result_is_printed_as_json() {
    task 0 3 '' add '{"a":1,"b":2}'
    task 0 -1 '' add '{"a":-2,"b":1}'
    task 0 '"text\n"' '' echo '{"value":"text\n"}'
    task 0 '{"a":[1,2.5,null,true]}' '' echo '{"value":{"a":[1,2.5,null,true]}}'
    task 0 null '' echo '{}'
}

case_message_may_be_missing_or_come_from_stdin() {
    task 0 null '' echo
    expect 0 '"piped"' '' send --load "$TASKS" echo - <<< '{"value": "piped"}'
    expect 2 '' 'standard input: JSON: line 2, column 1: ' send --load "$TASKS" echo - <<< '{"value": '
}

case_json_option_prints_one_object() {
    run send --json --load "$TASKS" add '{"a":1,"b":2}'
    [ "$code" = 0 ] || complain "expected exit code 0, got $code"
    says '^\{"key":"task-[a-z0-9]{25}","status":"done","result":3,"seconds":[0-9.e-]+\}$'
    run send --json --load "$TASKS" fail '{"message":"broken: twice"}'
    [ "$code" = 1 ] || complain "expected exit code 1, got $code"
    says '^\{"key":"task-[a-z0-9]{25}","status":"failed","error":\{"type":"Failed","text":"broken: twice","attempt":1,"key":"task-[a-z0-9]{25}","index":0,"final":true\},"seconds":'
}

case_flaky_task_succeeds_with_its_attempt() {
    task 0 1 '' flaky '{"failures":0}'
    task 0 4 '' flaky '{"failures":3}'
    task 1 '' 'flaky: Flaky: attempt 11 of the 20 that fail' flaky '{"failures":20}'
}

case_the_other_example_tasks_work() {
    task 0 5 '' sleep '{"ms":5}'
    task 0 1000 '' count '{"n":1000}'
    task 0 0 '' count '{"n":0}'
    printf abc > "$work/abc"
    task 0 "{\"path\":\"$work/abc\",\"bytes\":3,\"sha256\":\"$(sha256sum < "$work/abc" | cut -d' ' -f1)\"}" '' \
        hash_file "{\"path\":\"$work/abc\"}"
}

case_options_and_url_may_be_given_in_any_place() {
    expect 0 3 '' send add '{"a":1,"b":2}' --load "$TASKS" --url local: --threads 2
    expect 0 3 '' send -l "$TASKS" -u 'local:?threads=2' -t 1 -T 1m add '{"a":1,"b":2}'
    MAGEFLOW_URL=nosuch: expect 2 '' 'unknown scheme "nosuch"' send -l "$TASKS" add '{"a":1,"b":2}'
    MAGEFLOW_URL=nosuch: expect 0 3 '' send -l "$TASKS" --url local: add '{"a":1,"b":2}'
    (cd "$(dirname "$TASKS")" && expect 0 3 '' send -l "$(basename "$TASKS")" add '{"a":1,"b":2}'; exit "$failed") || failed=1
}

case_help_and_version() {
    expect 0 "mageflow $VERSION (modules of ABI 1)" '' version
    expect 0 "mageflow $VERSION (modules of ABI 1)" '' --version
    run --help
    [ "$code" = 0 ] && [ ! -s "$work/err" ] || complain "--help: expected exit code 0 and nothing on standard error"
    for word in send version threads store 'Exit codes' MAGEFLOW_URL; do says "$word"; done
    run send --help
    [ "$code" = 0 ] && [ ! -s "$work/err" ] || complain "send --help: expected exit code 0 and nothing on standard error"
    for word in --url --load --threads --timeout --json --no-wait; do says "$word"; done
    run
    [ "$code" = 2 ] && grep -q Usage "$work/err" || complain "no argument: expected exit code 2 and the usage"
}

case_manual_names_every_option() {
    local plain="$work/plain" option verb verbs
    sed 's/\\-/-/g; s/\\f[BIRP]//g' "$MANUAL" > "$plain"
    verbs=$("$MAGEFLOW" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
    for verb in $verbs; do
        grep -q "mageflow $verb" "$plain" || { echo "the man page lacks the verb $verb"; failed=1; }
        [ "$verb" = version ] || "$MAGEFLOW" "$verb" --help >> "$work/help" || complain "$verb --help failed"
    done
    for option in $({ "$MAGEFLOW" --help; cat "$work/help"; } | grep -Eo -- '--[a-z][a-z-]+' | sort -u); do
        grep -q -- "$option" "$plain" || { echo "the man page lacks $option"; failed=1; }
    done
}

case_output_that_cannot_be_written_is_a_failure() {
    unwritten() {
        code=0; "$MAGEFLOW" "$@" > /dev/full 2> "$work/err" || code=$?
        [ "$code" = 1 ] || complain "$*: expected exit code 1, got $code"
        grep -q 'standard output cannot be written' "$work/err" || complain "$*: expected a word about it"
    }
    unwritten send --load "$TASKS" echo
    unwritten version
    unwritten --help
    unwritten send --help
}

# ---- what was called wrongly: exit code 2 ------------------------------------------------------------------------------

case_unknown_words_are_named() {
    expect 2 '' 'unknown verb "frob"; the verbs are worker, send, run, list, inspect, logs, graph, .*version' frob
    expect 2 '' 'unknown option "--frob"' --frob
    expect 2 '' '--frob: unknown option: see mageflow send --help' send --frob add
    expect 2 '' '--load: missing argument' send add --load
    task 2 '' 'no task "frob" was declared; known: .*add' frob
    expect 2 '' 'no task "add" was declared.*--load FILE.so' send add
    expect 2 '' 'expected TASK and at most one MESSAGE, got 0' send
    expect 2 '' 'expected TASK and at most one MESSAGE, got 3' send a b c
    expect 2 '' 'version takes no arguments, got "x"' version x
    expect 2 '' '--threads: expected a number from 1 to 1024, got "0"' send --threads 0 add
    expect 2 '' '--threads: expected a number from 1 to 1024, got "2x"' send --threads 2x add
    expect 2 '' '--timeout: .*expected a number and ms, s, m, h or d, as in "10s", got "5"' send --timeout 5 add
}

case_url_is_checked_and_its_password_not_printed() {
    expect 2 '' 'unknown scheme "nosuch"; expected one of local:' send --url nosuch: add
    expect 2 '' 'unknown parameter "frob"' send --url 'local:?frob=1' add
    expect 2 '' 'threads' send --url 'local:?threads=many' add
    local url
    for url in nosuch://user:hunter2@host/0 celery+redis://user:hunter2@host:1/0 'local:?frob=hunter2' hunter2; do
        run send --load "$TASKS" --url "$url" --timeout 5s add '{"a":1,"b":2}'
        [ "$code" = 2 ] || complain "$url: expected exit code 2, got $code"
        [ "$url" = hunter2 ] || ! grep -q hunter2 "$work/out" "$work/err" || complain "$url: a password was printed"
    done
}

case_message_is_checked_against_the_fields() {
    task 2 '' 'field "a": expected an integer.*, got the string "x"' add '{"a":"x","b":2}'
    task 2 '' 'field "a": expected an integer.*, got the number 1.5' add '{"a":1.5,"b":2}'
    task 2 '' 'field "b": required, but missing' add '{"a":1}'
    task 2 '' 'expected a map of fields, got an array' add '[1,2]'
    task 2 '' 'field "ms": expected an integer from 0 to 86400000, got the integer -1' sleep '{"ms":-1}'
}

case_malformed_json_has_a_position() {
    task 2 '' 'the message: JSON: line 1, column 8: expected .*, got the end' add '{"a":1,'
    task 2 '' 'line 1, column 6: ' add '{"a":nope}'
    task 2 '' 'line 2, column 3: ' add $'{"a":1}\n  x'
    task 2 '' 'line 1, column 1: ' add ''
    task 2 '' '[Dd]eep|depth' add "$(printf '[%.0s' $(seq 200))$(printf ']%.0s' $(seq 200))"
    head -c 2000000 /dev/zero | tr '\0' ' ' > "$work/big"
    run send --load "$TASKS" echo - < "$work/big"
    [ "$code" = 2 ] || complain "2 MB on standard input: expected exit code 2, got $code"
    expect 2 '' 'standard input' send --load "$TASKS" echo - < /dev/null
}

case_module_that_cannot_be_used_is_named() {
    expect 2 '' '--load .*/nosuch.so: .*No such file' send --load "$work/nosuch.so" add
    expect 2 '' '--load nosuch.so: .*No such file' send --load nosuch.so add
    echo text > "$work/text.so"
    expect 2 '' '--load .*/text.so: ' send --load "$work/text.so" add
    expect 2 '' 'no_entry.so is no mageflow module: it has no mf_module_init' send --load "$MODULES/no_entry.so" add
    expect 2 '' 'other_abi.so was built for module ABI 2, this mageflow has 1' send --load "$MODULES/other_abi.so" add
    expect 2 '' 'failing_entry.so: .*"?twice' send --load "$MODULES/failing_entry.so" add
    expect 0 3 '' send --load "$MODULES/knock.so" --load "$TASKS" add '{"a":1,"b":2}'
}

case_no_wait_is_refused_where_nothing_lasts() {
    task 2 '' '--no-wait: .*in memory.*--url' --no-wait add '{"a":1,"b":2}'
}

# ---- what failed, took too long, or was interrupted --------------------------------------------------------------------

case_failing_task_tells_type_and_text() {
    task 1 '' '^mageflow: fail: Failed: out of paint$' fail '{"message":"out of paint"}'
    task 1 '' '^mageflow: add: Overflow: 9223372036854775807 \+ 1 does not fit 64 bits$' add '{"a":9223372036854775807,"b":1}'
    task 1 '' "FileNotFound: $work/nosuch: No such file" hash_file "{\"path\":\"$work/nosuch\"}"
    task 1 '' "NotRegular: $work: not a regular file" hash_file "{\"path\":\"$work\"}"
    mkfifo "$work/fifo"
    task 1 '' 'NotRegular' hash_file "{\"path\":\"$work/fifo\"}"
    task 1 '' 'FileNotFound.*NUL' hash_file '{"path":"a\u0000b"}'
    expect 1 '' 'Failed: red \?\[31mtext' send --load "$TASKS" fail '{"message":"red \u001b[31mtext"}'
}

case_timeout_cancels_and_exits_3() {
    task 3 '' 'sleep: Timeout: not done within the time of --timeout; canceled' --timeout 50ms sleep '{"ms":60000}'
    run send --load "$TASKS" --json -T 50ms sleep '{"ms":60000}'
    [ "$code" = 3 ] || complain "expected exit code 3, got $code"
    says '"status":"canceled","error":\{"type":"Timeout",'
}

# interrupt SIGNAL CODE TASK: start TASK, wait until it runs, send SIGNAL, wait for the end
interrupt() {
    mkfifo "$work/knock-$1"
    "$MAGEFLOW" send --load "$MODULES/knock.so" --json "$3" "{\"path\":\"$work/knock-$1\"}" > "$work/out" 2> "$work/err" &
    local pid=$!
    exec 9< "$work/knock-$1"      # returns when the task opened its end
    kill "-$1" "$pid"
    code=0
    wait "$pid" || code=$?
    exec 9<&-
    [ "$code" = "$2" ] || complain "$3 and $1: expected exit code $2, got $code"
}

case_signal_cancels_the_task() {
    set -m      # or the shell starts the command with SIGINT ignored
    interrupt INT 130 knock
    says '"status":"canceled","error":\{"type":"Interrupted",'
    interrupt TERM 143 knock
}

case_task_that_does_not_stop_is_left() {
    set -m
    interrupt INT 130 stubborn
    grep -q 'stubborn does not stop; leaving without it' "$work/err" || complain "expected a word about leaving"
}

case_progress_is_shown_on_a_terminal() {
    mkfifo "$work/knock"
    local command="exec '$MAGEFLOW' send --load '$MODULES/knock.so' report '{\"path\":\"$work/knock\"}'"
    exec 8< <(TERM=xterm script -qefc "$command" /dev/null 2>&1 < /dev/null)
    local part='' shown=''
    exec 9< "$work/knock"
    while [[ $shown != *'3/4 (75 %)'* ]] && IFS= read -r -d ')' -u 8 part; do shown+="$part)"; done
    [[ $shown == *'3/4 (75 %)'* ]] || complain "expected progress 3/4"
    exec 9<&-
    tr '\r' '\n' <&8 > "$work/out"
    grep -q 'null$' "$work/out" || complain "expected the result, null"
    exec 8<&-
}

run_case "$@"
