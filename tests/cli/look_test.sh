#!/bin/bash
# look_test.sh CASE: one promise of the verbs that look at what others run, and stop it: list, inspect, logs, cancel and their like.
# A worker serves in a process of its own, over a file and over a redis-server. Without CASE: the list of cases.
source "$(dirname "$0")/kit.sh"

url='' worker='' server=''
trap 'for pid in $worker $server; do kill "$pid" 2> /dev/null; done; wait; rm -rf "$work"' EXIT

# ---- where flows are kept ------------------------------------------------------------------------------------------------

skip() { echo "skipped: $*"; exit 77; }

in_a_file() {
    help_has 'sqlite:FILE' || skip this build has no SQLite
    url="local:?store=sqlite:$work/flows.db"
    "$@"
}

in_redis() {
    local line=''
    command -v redis-server > /dev/null || skip no redis-server
    help_has 'taskiq+unix:$' || skip this build has no bridge to Redis
    exec 6< <(exec redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save '' --appendonly no 2>&1)
    server=$!
    until [[ $line == *'Ready to accept'* || $line == *'ready to accept'* ]]; do read -r line <&6 || skip redis-server does not start; done
    url="taskiq+unix://$work/redis.sock"
    "$@"
}

serve() {
    local line=''
    exec 7< <(exec "$MAGEFLOW" worker --url "$url" --load "$TASKS" --load "$MODULES/knock.so" --threads 2 2>&1)
    worker=$!
    until [ "$line" = serving ]; do read -r line <&7 || { complain "the worker does not serve: $line"; exit 1; }; done
}

# What runs ends before the worker does: it is not waited for in vain.
stop_serving() {
    local code=0
    kill -TERM "$worker"
    wait "$worker" || code=$?
    worker=''
    [ "$code" = 0 ] || complain "the worker left with exit code $code"
}

# The output of a command that must succeed.
got() { run "$@" --url "$url"; [ "$code" = 0 ] || complain "mageflow $*: expected exit code 0, got $code"; cat "$work/out"; }
key_in() { sed -n "s/.*\"$1\":\"\([a-z]*-[a-z0-9]*\)\".*/\1/p" | head -1; }

# ---- what was started ----------------------------------------------------------------------------------------------------

lists_and_inspects() {
    local keys=() i swarm chain
    serve
    until run list --workers --url "$url"; [ -s "$work/out" ]; do :; done      # it tells in the background
    head -1 "$work/out" | grep -Eq '^WORKER +AGE +TOLD +THREADS +RUNNING +TASKS$' || complain "expected a head"
    says ":$worker +[0-9a-z]+ +[0-9a-z]+ +2 +0  .*add, .*knock"
    expect 0 '' 'no worker says that it serves nobody' list --workers --task nobody --url "$url"
    run list --workers --task knock --json --url "$url"
    says '"pid":'"$worker"',.*"calls":\[\],"tasks":\['
    for i in 1 2 3 4 5; do keys=("$(got send --json add "{\"a\":$i,\"b\":1}" | key_in key)" "${keys[@]}"); done

    run list --url "$url" --limit 2
    [ "$(sed '1d; s/ .*//' "$work/out" | xargs)" = "${keys[*]:0:2}" ] || complain "expected the two that were started last"
    head -1 "$work/out" | grep -Eq '^KEY +KIND +STATUS +AGE +TASK +PROGRESS$' || complain "expected a head"
    says "^${keys[0]} +task +done +[0-9a-z]+ +add$"
    grep -q -- "there are more: --after ${keys[1]}\$" "$work/err" || complain "expected where to go on"
    run list --url "$url" --limit 3 --after "${keys[1]}"
    [ "$(sed '1d; s/ .*//' "$work/out" | xargs)" = "${keys[*]:2:3}" ] || complain "expected the other three"
    [ ! -s "$work/err" ] || complain "expected no more than that"

    got run --wait "$work/flow.json" > "$work/result"
    [ "$(cat "$work/result")" = '[null,7]' ] || complain "expected [null,7]"
    got list --json --limit 1 > "$work/listed"
    swarm=$(key_in key < "$work/listed")
    says '^\{"key":"swarm-[a-z0-9]+","kind":"swarm","name":"walls","status":"done","age_s":[0-9.]+,.*"done":1,"failed":1,"canceled":0\}'
    run list --url "$url" --status failed,canceled
    [ ! -s "$work/out" ] || complain "expected nothing that failed at the top"
    grep -q 'nothing is there that was asked for' "$work/err" || complain "expected a word about nothing"
    run list --url "$url" --all --status failed
    says '^chain-[a-z0-9]+ +chain +failed +[0-9a-z]+ +chain +1/3 done, 1 failed: Failed: out of \?\[31mpaint$'

    run inspect --url "$url" "$swarm"
    chain=$(sed -n 's/^0 .*\(chain-[a-z0-9]*\).*/\1/p' "$work/out")
    says "^key +$swarm$"
    says '^status +done$'
    says '^items +1/2 done, 1 failed; 30 at once$'
    says "^0 +failed +chain +$chain 1/3 done, 1 failed: Failed: out of \?\[31mpaint$"
    says '^1 +done +echo +7$'
    run inspect --url "$url" --limit 1 "$swarm"
    ! grep -q '^1 ' "$work/out" && grep -q 'there are 1 more: --after 0' "$work/err" || complain "expected one item and that there is more"
    run inspect --url "$url" --after 0 "$swarm"
    grep -q '^1 ' "$work/out" && ! grep -q '^0 ' "$work/out" || complain "expected the second item alone"
    run inspect --url "$url" "$chain"
    says '^status +failed$'
    says "^in +$swarm done walls, item 0$"
    says '^steps +1/3 done, 1 failed, 1 never ran$'
    says "^error +Failed: out of \?\[31mpaint \(attempt 1, final, of $chain\)$"
    says '^0 +done +add$'
    says '^1 +failed +fail '
    says '^2 +never ran +echo$'
    run inspect --url "$url" --json "$chain"
    says '"in":\[\{"key":"'"$swarm"'","kind":"swarm","name":"walls","status":"done","index":0\}\]'
    says '"parts":\[\{"index":0,.*"name":"fail","status":"failed",.*"status":"pending","never":true\}\],"more":0\}$'
    run inspect --url "$url" "${keys[0]}"
    says '^attempts +up to 1, without a timeout$'
    says '^result +6$'
    stop_serving
    expect 0 '' 'no worker says that it serves$' list --workers --url "$url"
}

case_list_and_inspect_show_what_was_started_in_a_file() { write_flow; in_a_file lists_and_inspects; }
case_list_and_inspect_show_what_was_started_in_redis() { write_flow; in_redis lists_and_inspects; }

write_flow() {
    printf '%s' '{"swarm": [{"chain": [{"task": "add", "kwargs": {"a": 1, "b": 2}}, {"task": "fail", "kwargs": {"message":
        "out of \u001b[31mpaint"}}, {"task": "echo"}]}, {"task": "echo", "kwargs": {"value": 7}}], "name": "walls"}' > "$work/flow.json"
}

# ---- what runs -----------------------------------------------------------------------------------------------------------

follows_and_cancels() {
    local key line follower
    mkfifo "$work/talk" "$work/knock"
    serve
    key=$(got send --no-wait talk "{\"path\":\"$work/talk\"}")
    exec 9< "$work/talk"       # returns when the task opened its end
    exec 8< <(exec "$MAGEFLOW" logs --url "$url" --follow "$key" 2>&1 9<&-)
    follower=$!
    read -r line <&8
    [ "$line" = $'begun by \033[31m1' ] || complain "expected the first line, got '$line'"
    exec 9<&-                  # which the task ends at
    [ "$(cat <&8)" = ended ] || complain "expected the last line and the end"
    wait "$follower" || complain "logs --follow: exit code $?"
    exec 8<&-
    expect 0 $'{"number":0,"text":"begun by \\u001b[31m1"}\n{"number":1,"text":"ended"}' '' logs --url "$url" --json "$key"

    printf '{"chain": [{"task": "knock", "kwargs": {"path": "%s"}}, {"task": "echo"}]}' "$work/knock" > "$work/flow.json"
    key=$(got run "$work/flow.json")
    exec 9< "$work/knock"
    exec 9<&-
    run list --url "$url" --status running
    says "^$key +chain +active +[0-9a-z]+ +chain +0/2 done, 1 running$"
    run inspect --url "$url" "$key"
    says '^0 +active +knock$'
    says '^1 +pending +echo$'
    expect 0 "$key canceled" '' cancel --url "$url" "$key"
    expect 1 '' 'has ended already, it is canceled' cancel --url "$url" "$key"
    expect 0 '' 'nothing is there that was asked for' list --url "$url" --status alive
    stop_serving               # after the task, which would sleep for minutes, has heard of it

    key=$(got run "$work/flow.json")
    expect 0 "{\"key\":\"$key\",\"done\":\"suspended\"}" '' suspend --json --url "$url" "$key"
    expect 2 "$key resumed" '"nobody" is no key' resume --url "$url" nobody "$key"
    expect 1 '' 'is pending: cannot resume' resume --url "$url" "$key"
    expect 0 "$key interrupted" '' interrupt --url "$url" "$key"
    run list --url "$url" --status interrupted
    says "^$key +chain +interrupted "
    expect 0 "$key resumed" '' resume --url "$url" "$key"
    expect 0 "$key removed" '' remove --url "$url" "$key"
    expect 2 '' "there is no signature $key" inspect --url "$url" "$key"
}

case_logs_follow_what_runs_and_cancel_stops_it_in_a_file() { in_a_file follows_and_cancels; }
case_logs_follow_what_runs_and_cancel_stops_it_in_redis() { in_redis follows_and_cancels; }

case_inspect_finds_a_unique_run_by_its_name() {
    finds() {
        printf '{"flow": {"task": "add", "kwargs": {"a": 1, "b": 1}}, "unique": "nightly"}' > "$work/flow.json"
        expect 0 2 '' run --load "$TASKS" --url "$url" --wait "$work/flow.json"
        run inspect --url "$url" nightly
        says '^result +2$'
        expect 2 '' '"weekly" is no key.*no unique run of that name' inspect --url "$url" weekly
    }
    in_a_file finds
}

# ---- what was called wrongly, or is not there ------------------------------------------------------------------------------

unserved() { expect 3 '' 'has not begun; with the same --url, "mageflow list --workers"' send --load "$TASKS" --url "$url" --timeout 6s echo; }
case_who_waits_for_nobody_is_told_so() { in_redis unserved; }

case_looking_says_what_is_wrong() {
    expect 2 '' 'list: expected no arguments, got "x"' list x
    expect 2 '' '--status: expected pending, .* got "lost"' list --status done,lost
    expect 2 '' '--after: .*expected task-, chain- or swarm-.* got "x"' list --after x
    expect 2 '' '--limit: expected a number from 1 to 1000000, got "0"' list --limit 0
    expect 2 '' '--workers goes with' list --workers --all
    expect 2 '' 'inspect: expected one KEY, got 0 arguments' inspect
    expect 2 '' '--after: expected the number of a step or item, got "-1"' inspect --after -1 x
    expect 2 '' 'logs: expected one KEY, got 2 arguments' logs a b
    expect 2 '' 'cancel: expected KEY, one or more, got none' cancel
    expect 2 '' '--load: unknown option' cancel --load x.so y
    expect 2 '' 'keeps flows in the memory of the process that runs them' list
    expect 2 '' 'unknown scheme "nosuch"' list --url nosuch:
}

case_looking_makes_no_file_and_says_that_a_server_is_away() {
    help_has 'sqlite:FILE' || skip this build has no SQLite
    expect 2 '' 'nosuch.db: No such file or directory; expected the file of flows' list --url "local:?store=sqlite:$work/nosuch.db"
    [ ! -e "$work/nosuch.db" ] || complain "list made a file"
    echo text > "$work/text.db"
    expect 2 '' 'text.db' inspect --url "local:?store=sqlite:$work/text.db" chain-abcdefghijklmnopqrstuvwxy
}

run_case "$@"
