#!/bin/bash
# flow_test.sh CASE: one promise of the verbs that take a flow written as JSON. Without CASE: the list of cases.
source "$(dirname "$0")/kit.sh"

# flow CODE OUT ERR JSON OPTION...: `mageflow run` on a file with JSON
flow() {
    printf '%s' "$4" > "$work/flow.json"
    expect "$1" "$2" "$3" run --load "$TASKS" "${@:5}" "$work/flow.json"
}

add_twice='{"flow": {"chain": [{"task": "add", "kwargs": {"b": 2}}, {"swarm": [{"task": "echo", "kwargs": {"value": 7}},
    {"task": "echo"}]}], "kwargs": {"value": "all"}}, "message": {"a": 1}}'

# ---- what works --------------------------------------------------------------------------------------------------------

case_run_prints_the_result_of_a_flow() {
    flow 0 3 '' '{"task": "add", "kwargs": {"a": 1, "b": 2}}' --wait
    flow 0 '["all","all"]' '' "$add_twice" --wait
    flow 0 '[]' '' '{"swarm": []}' --wait
    flow 0 '[null,3]' '' '{"swarm": [{"task": "fail"}, {"task": "add", "kwargs": {"a": 1, "b": 2}}]}' --wait
}

case_run_takes_the_flow_from_stdin_and_a_message_beside_it() {
    local add='{"flow": {"task": "add", "kwargs": {"b": 2}}, "message": {"a": 1}}'
    expect 0 3 '' run --load "$TASKS" --wait - <<< "$add"
    flow 0 12 '' "$add" --wait --message '{"a": 10}'
    flow 0 12 '' '{"task": "add", "kwargs": {"b": 2}}' -w -m '{"a": 10}'
    printf '%s' "$add" > "$work/flow.json"
    expect 0 12 '' run --load "$TASKS" --wait "$work/flow.json" --message - <<< '{"a": 10}'
    expect 2 '' 'cannot both come from standard input' run --load "$TASKS" --wait - --message - <<< "$add"
}

case_run_json_option_prints_one_object() {
    printf '%s' "$add_twice" > "$work/flow.json"
    run run --load "$TASKS" --wait --json "$work/flow.json"
    [ "$code" = 0 ] || complain "expected exit code 0, got $code"
    says '^\{"key":"chain-[a-z0-9]{25}","status":"done","result":\["all","all"\],"seconds":[0-9.e-]+\}$'
}

case_run_prints_a_list_of_results_above_the_payload_bound() {
    { printf '{"swarm": [{"task": "echo"}'; for _ in $(seq 1999); do printf ',{"task": "echo"}'; done
      printf '], "kwargs": {"value": "%s"}}' "$(printf '%.0sx' $(seq 1000))"; } > "$work/flow.json"
    run run --load "$TASKS" --wait "$work/flow.json"
    [ "$code" = 0 ] && [ "$(wc -c < "$work/out")" = $((2000 * 1003 + 2)) ] || complain "expected 2,006,002 bytes of results"
    head -c 9 "$work/out" | grep -q '^\["xxxxxxx' || complain "expected a list"
    run run --load "$TASKS" --wait --json "$work/flow.json"
    grep -Eq '"status":"done","result":\["x+",.*"\],"seconds":' "$work/out" || complain "expected the list in the object"
}

case_run_help_names_its_options() {
    run run --help
    [ "$code" = 0 ] && [ ! -s "$work/err" ] || complain "run --help: expected exit code 0 and nothing on standard error"
    for word in --url --load --message --wait --timeout --json; do says "$word"; done
    ! grep -q -- --no-wait "$work/out" || complain "run --help: --no-wait is none of its options"
    expect 2 '' '--no-wait: unknown option: see mageflow run --help' run --no-wait x.json
}

# ---- what was called wrongly: exit code 2 ------------------------------------------------------------------------------

case_run_without_wait_is_refused_where_nothing_lasts() {
    flow 2 '' 'without --wait the flow would end with this process.*add --wait, or choose' '{"task": "echo"}'
}

case_run_says_what_is_wrong_and_where() {
    flow 2 '' 'flow\.json: line 1, column 39: flow\.chain\[1\]\.task: expected text, got a map of 0' '{"chain": [{"task": "echo"}, {"task": {}}]}' --wait
    flow 2 '' 'column 18: flow: unknown key "kwarg": a task has task, kwargs' '{"task": "echo", "kwarg": {}}' --wait
    flow 2 '' 'column 28: document: unknown key "messages": a document has flow, message, delay' '{"flow": {"task": "echo"}, "messages": {}}' --wait
    flow 2 '' 'column 12: flow\.swarm\[0\]: no task "nosuch" was declared; known: .*add' '{"swarm": [{"task": "nosuch"}]}' --wait
    flow 2 '' 'no source "nosuch" was declared' '{"map": {"task": "echo"}, "source": "nosuch"}' --wait
    flow 2 '' 'flow\.json: JSON: line 1, column 10: ' '{"task": }' --wait
    flow 2 '' 'flow\.json: JSON: line 1, column 1: ' '' --wait
    flow 2 '' 'flow.json: line 1, column 1: flow: task "add": field "a": required, but missing' '{"task": "add"}' --wait
    flow 2 '' 'the message: JSON: line 1, column 2' '{"task": "echo"}' --wait --message '{'
    flow 2 '' 'expected a map of fields, got an array' '{"task": "echo"}' --wait --message '[]'
    expect 2 '' 'no task "echo" was declared.*--load FILE.so' run --wait - <<< '{"task": "echo"}'
    expect 2 '' 'nosuch.json: No such file or directory; expected a file with a flow' run --wait "$work/nosuch.json"
    expect 2 '' 'Is a directory' run --wait "$work"
    expect 2 '' 'run: expected one FLOW.json, or - for standard input, got 0 arguments' run --wait
    expect 2 '' 'run: expected one FLOW.json, .* got 2 arguments' run --wait a b
    expect 2 '' '--timeout says how long to wait: give it with --wait' run --timeout 1s a
}

# The path that the library tells is walked through the text, whatever the text looks like.
case_run_finds_the_place_in_the_text() {
    flow 2 '' 'flow\.json: line 5, column 15: flow\.swarm\[2\]\.ttl: expected a number' '{
  "message": {"flow": [{"swarm": "]}"}], "\"": "\\"},
  "flow": {"swarm": [{"task": "echo", "kwargs": {"value": [1, [2, "é]"], {"a": {}}]}}, {"task": "echo"},
    {"task": "echo",
       "ttl" :"soon"}]}}' --wait
    flow 2 '' 'line 2, column 17: flow: the key "task" is there twice' '{"kwargs": {"task": 1, "é": "task"},
"task": "echo", "task": "add"}' --wait
    flow 2 '' 'line 1, column 11: document\.unique: expected a name' '{"unique":"", "flow": {"task": "echo"}}' --wait
    flow 2 '' 'line 1, column 29: flow\.map\.ttl: the items' '{"map": {"task":"add","ttl":"1s"}, "source": "items"}' --wait
    flow 2 '' 'line 1, column 1: flow: expected a map, got an array' '[]' --wait
    flow 2 '' 'line 1, column 1: flow: the key "source" is missing' '{"map": {"task":"add"}}' --wait
    expect 2 '' '^mageflow: the flow on standard input: line 1, column 12: flow\.chain: expected two steps' run --load "$TASKS" --wait - <<< '{"chain":  []}'
}

case_run_bounds_depth_and_size() {
    deep() { printf '{"swarm":[%.0s' $(seq "$1"); printf '{"task":"echo"}'; printf ']}%.0s' $(seq "$1"); }
    flow 2 '' 'line 1, column 321: deeper than the limit of 64 maps and lists' "$(deep 32)" --wait
    flow 2 '' '[Dd]eep' "$(deep 5000)" --wait
    flow 0 "$(printf '[%.0s' $(seq 31))null$(printf ']%.0s' $(seq 31))" '' "$(deep 31)" --wait
    { printf '{"task": "echo", "kwargs": {"value": "'; head -c 1100000 /dev/zero | tr '\0' x; printf '"}}'; } > "$work/big.json"
    expect 2 '' 'big.json: expected at most 1048576 bytes, got more' run --load "$TASKS" --wait "$work/big.json"
}

# ---- what failed, took too long, or was interrupted --------------------------------------------------------------------

case_run_failing_flow_tells_type_and_text() {
    flow 1 '' 'flow.json: Failed: out of paint$' '{"chain": [{"task": "fail", "kwargs": {"message": "out of paint"}}, {"task": "echo"}]}' --wait
    flow 1 '' 'TooManyFailures: 1 item failed' '{"swarm": [{"task": "fail"}], "stop_after_failures": 1}' --wait
    expect 1 '' '^mageflow: the flow: Failed: ' run --load "$TASKS" --wait - <<< '{"task": "fail"}'
}

case_run_timeout_cancels_and_exits_3() {
    flow 3 '' 'Timeout: not done within the time of --timeout; canceled \(swarm-' \
        '{"swarm": [{"task": "sleep"}, {"task": "sleep"}], "kwargs": {"ms": 60000}}' --wait --timeout 50ms
}

case_run_signal_cancels_the_flow() {
    set -m      # or the shell starts the command with SIGINT ignored
    mkfifo "$work/knock"
    printf '{"chain": [{"task": "knock", "kwargs": {"path": "%s"}}, {"task": "knock"}]}' "$work/knock" > "$work/flow.json"
    "$MAGEFLOW" run --load "$MODULES/knock.so" --wait --json "$work/flow.json" > "$work/out" 2> "$work/err" &
    local pid=$!
    exec 9< "$work/knock"      # returns when the task opened its end
    kill -INT "$pid"
    code=0
    wait "$pid" || code=$?
    exec 9<&-
    [ "$code" = 130 ] || complain "expected exit code 130, got $code"
    says '"status":"canceled","error":\{"type":"Interrupted",'
}

case_run_counts_are_shown_on_a_terminal() {
    mkfifo "$work/knock"
    printf '{"swarm": [{"task": "stubborn", "kwargs": {"path": "%s"}}, {"task": "stubborn"}, {"task": "stubborn"}]}' \
        "$work/knock" > "$work/flow.json"
    local command="exec '$MAGEFLOW' run --load '$MODULES/knock.so' --wait '$work/flow.json'"
    exec 8< <(TERM=xterm script -qefc "$command" /dev/null 2>&1 < /dev/null)
    local part='' shown=''
    exec 9< "$work/knock"
    while [[ $shown != *'2/3 (67 %)'* ]] && IFS= read -r -d ')' -u 8 part; do shown+="$part)"; done
    [[ $shown == *'2/3 (67 %)'* ]] || complain "expected 2/3"
    exec 9<&-
    tr '\r' '\n' <&8 > "$work/out"
    grep -q '\[null,null,null\]' "$work/out" || complain "expected the results"
    grep -q '1 running, 2 failed' "$work/out" || complain "expected what runs and what failed"
    exec 8<&-
}

# ---- pictures ----------------------------------------------------------------------------------------------------------

case_graph_draws_a_file_in_both_languages() {
    printf '%s' "$add_twice" > "$work/flow.json"
    run graph --load "$TASKS" "$work/flow.json"
    [ "$code" = 0 ] && [ ! -s "$work/err" ] || complain "expected exit code 0 and nothing on standard error"
    says '^digraph flow \{$'
    says '^    subgraph cluster_0 \{$'
    says 'n1 \[label="add",'
    if command -v dot > /dev/null; then
        dot -Tsvg < "$work/out" > "$work/svg" 2> "$work/err" || complain "dot refuses it"
        [ ! -s "$work/err" ] && grep -q '</svg>' "$work/svg" || complain "dot has something to say about it"
    fi
    run graph --load "$TASKS" --format mermaid - < "$work/flow.json"
    [ "$(head -1 "$work/out")" = 'flowchart LR' ] || complain "expected a flowchart"
    says '^    n1 --> c2$'
    says '^        subgraph c2\["swarm<br/>30 at once"\]$'
}

# The first process leaves a flow in the file, the next one that knows its tasks ends it, and a third one draws it.
case_run_leaves_a_flow_in_a_file_and_graph_finds_it() {
    help_has 'sqlite:FILE' || { echo "skipped: this build has no SQLite"; exit 77; }
    local store="local:?store=sqlite:$work/flows.db" key picture=''
    printf '%s' "$add_twice" > "$work/flow.json"
    run run --load "$TASKS" --url "$store" "$work/flow.json"
    key=$(cat "$work/out")
    [[ $code = 0 && $key =~ ^chain-[a-z0-9]{25}$ ]] || complain "expected the key of a chain"
    until [[ $picture == *'chain<br/>done, 2/2 done'* ]]; do
        expect 0 null '' run --load "$TASKS" --url "$store" --wait - <<< '{"task": "echo"}'
        run graph --url "$store" --format mermaid "$key"
        picture=$(cat "$work/out")
        [ "$failed" = 0 ] && [ "$code" = 0 ] || return
    done
    says 'n3\["\[0\] echo<br/>done"\]:::done'
    # It knows the tasks that were served from the file, and says how to learn which.
    expect 2 '' 'no task "nosuch" was declared.*see with mageflow list --workers what is served' run --url "$store" - <<< '{"task": "nosuch"}'
    expect 2 '' 'column 1: flow: mf_map: no source "items" .*; load the module that declares it with --load FILE.so$' \
        run --url "$store" - <<< '{"map": {"task": "echo"}, "source": "items"}'
    expect 2 '' 'there is no signature chain-abcdefghijklmnopqrstuvwxy$' graph --url "$store" chain-abcdefghijklmnopqrstuvwxy
}

case_graph_says_what_is_wrong() {
    expect 2 '' 'graph: expected one FLOW.json or KEY, got 0 arguments' graph
    expect 2 '' '--format: expected dot or mermaid, got "svg"' graph --format svg x.json
    expect 2 '' 'nosuch.json: No such file' graph "$work/nosuch.json"
    expect 2 '' 'flow\.chain: expected two steps or more, got 0' graph - <<< '{"chain": []}'
    expect 2 '' 'no task "add" was declared.*--load FILE.so' graph - <<< '{"task": "add"}'
    expect 2 '' 'no signature chain-abcdefghijklmnopqrstuvwxy; .*say with --url where it is kept' graph chain-abcdefghijklmnopqrstuvwxy
    expect 2 '' '--wait: unknown option' graph --wait x.json
}

run_case "$@"
