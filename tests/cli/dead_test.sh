#!/bin/bash
# dead_test.sh CASE: one promise of `mageflow dead` and `mageflow doctor`, over files and real redis-servers. Without CASE: the list
# of cases.
source "$(dirname "$0")/kit.sh"

url='' worker='' server=''
# The worker first, which has something to say to its server; -KILL: one that is still to write its first AOF stays on SIGTERM.
leave() {
    [ -z "$worker" ] || { kill "$worker" && wait "$worker"; } 2> /dev/null
    [ -z "$server" ] || kill -KILL "$server" 2> /dev/null
    wait
    rm -rf "$work"
}
trap leave EXIT
skip() { echo "skipped: $*"; exit 77; }

# ---- where it happens ----------------------------------------------------------------------------------------------------

in_a_file() {
    help_has 'sqlite:FILE' || skip this build has no SQLite
    url="local:?store=sqlite:$work/flows.db"
}

# start_redis OPTION...
start_redis() {
    local line=''
    command -v redis-server > /dev/null && command -v redis-cli > /dev/null || skip no redis-server
    help_has 'taskiq+unix:$' || skip this build has no bridge to Redis
    exec 6< <(exec redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" "$@" 2>&1)
    server=$!
    until [[ $line == *'eady to accept'* ]]; do read -r line <&6 || skip redis-server does not start; done
    url="taskiq+unix://$work/redis.sock"
}

in_redis() { start_redis --save '' --appendonly no; }
rds() { redis-cli -s "$work/redis.sock" "$@"; }

serve() {
    local line=''
    exec 7< <(exec "$MAGEFLOW" worker --url "$url" --load "$TASKS" --threads 2 2>&1)
    worker=$!
    until [ "$line" = serving ]; do read -r line <&7 || { complain "the worker does not serve: $line"; exit 1; }; done
}

stop_serving() {
    kill -TERM "$worker"
    wait "$worker" || complain "the worker left with exit code $?"
    worker=''
}

dead() { run dead --url "$url" "$@"; }
# The keys of all letters.
letters() { "$MAGEFLOW" dead --url "$url" list --json | sed -n 's/^{"key":"\([^"]*\)".*/\1/p'; }

# until_letters N: until there are so many, for a minute at most; ctest ends what hangs
until_letters() {
    local end=$((SECONDS + 60))
    until [ "$(letters | wc -l)" = "$1" ] || [ $SECONDS -gt $end ]; do :; done
    [ "$(letters | wc -l)" = "$1" ] || complain "expected $1 dead letters, got: $(letters | xargs)"
}

# at_once KEY: two processes requeue it; how many did it is in $sent, what they said in out and err
at_once() {
    local one two
    "$MAGEFLOW" dead --url "$url" requeue "$1" > "$work/one" 2> "$work/err1" & one=$!
    "$MAGEFLOW" dead --url "$url" requeue "$1" > "$work/two" 2> "$work/err2" & two=$!
    sent=0
    wait "$one" && sent=$((sent + 1))
    wait "$two" && sent=$((sent + 1))
    cat "$work/one" "$work/two" > "$work/out"
    cat "$work/err1" "$work/err2" > "$work/err"
}

# ---- flows ---------------------------------------------------------------------------------------------------------------

# A swarm that nobody closes outlives its time; sent again it runs its item once more, and outlives its time again.
flow_is_sent_again_once() {
    local key as
    printf '%s' '{"flow": {"swarm": [{"task": "echo"}], "closed": false, "ttl": "1500ms", "name": "open"}, "message": {"value": 7}}' \
        > "$work/flow.json"
    serve
    run run --url "$url" --load "$TASKS" "$work/flow.json"
    key=$(cat "$work/out")
    until_letters 1
    dead list
    head -1 "$work/out" | grep -Eq '^KEY +KIND +SINCE +TASK OR QUEUE +REASON$' || complain "expected a head"
    says "^$key +flow +20[0-9-]+ [0-9:]+ open +Expired$"
    dead show "$key"
    says '^message +\{"value":7\}$'
    says '^flow +\{"swarm":\[\{"task":"echo"\}\],"name":"open","closed":false,"ttl":"1500ms"\}$'
    says '^error +\{"type":"Expired",'
    dead show --json "$key"
    says "^\{\"key\":\"$key\",\"kind\":\"flow\",\"name\":\"open\",\"reason\":\"Expired\",\"since\":[0-9.]+,\"requeue\":true,\"error\":"
    at_once "$key"
    [ "$sent" = 1 ] || complain "expected that one of two sends it, $sent did"
    as=$(sed -n "s/^$key requeued as \(swarm-[a-z0-9]*\)\$/\1/p" "$work/out")
    grep -q "there is no dead letter $key any more: it was requeued as $as" "$work/err" || complain "expected what became of it"
    until_letters 1
    [ "$(letters)" = "$as" ] || complain "expected the letter of $as alone"
    run list --url "$url" --json
    [ "$(wc -l < "$work/out")" = 2 ] || complain "expected two swarms in all"
    # Its item has 1500 ms to run, and once more where the machine did not come to it.
    until run inspect --url "$url" "$as"; grep -q '1/1 done' "$work/out"; do
        dead requeue "$as"
        as=$(sed -n "s/^$as requeued as \(swarm-[a-z0-9]*\)\$/\1/p" "$work/out")
        [ -n "$as" ] || complain "expected that it is sent again"
        until_letters 1
        [ "$failed" = 0 ] || return
    done
    expect 0 "$as dropped" '' dead --url "$url" drop "$as"
    expect 2 '' "there is no dead letter $as any more: it was dropped" dead --url "$url" requeue "$as"
    expect 0 '' 'there are no dead letters' dead --url "$url" list
    stop_serving
}

case_dead_flow_in_a_file_is_sent_again_once() { in_a_file; flow_is_sent_again_once; }
case_dead_flow_in_redis_is_sent_again_once() { in_redis; flow_is_sent_again_once; }

# ---- messages ------------------------------------------------------------------------------------------------------------

poison_is_shown_and_sent_again_once() {
    local text binary
    serve
    "$1" '{"task_id": "torn"'
    until_letters 1
    "$1" "$(printf '\xff\x01nobody reads it')"
    until_letters 2
    read -r text binary < <(letters | xargs)
    dead list
    says "^$text +message +20[0-9-]+ [0-9:]+ taskiq +"
    dead show "$text"
    says '^queue +taskiq$'
    says '^data +18 bytes$'
    says '^  \{"task_id": "torn"$'
    dead show "$binary"
    says '^  00000000  ff 01 6e 6f 62 6f 64 79 20 72 65 61 64 73 20 69  \|\.\.nobody reads i\|$'
    dead show --json "$binary"
    says '"data_base64":"/wFub2JvZHkgcmVhZHMgaXQ="'
    dead list --limit 1
    grep -q "there are more: --after $text" "$work/err" || complain "expected that there are more"
    dead list --json --after "$text"
    [ "$(wc -l < "$work/out")" = 1 ] || complain "expected the second alone"
    stop_serving
    at_once "$text"
    [ "$sent" = 1 ] || complain "expected that one of two sends it, $sent did"
    grep -q "there is no dead letter $text, or not any more" "$work/err" || complain "expected that the other one is told"
    [ "$("$2")" = 1 ] || complain "expected one message in the queue"
    [ "$(letters)" = "$binary" ] || complain "expected the other letter alone"
    serve
    until_letters 2      # it is as unreadable as before
    stop_serving
    expect 0 "$binary dropped" '' dead --url "$url" drop "$binary"
    expect 2 '' "there is no dead letter $binary" dead --url "$url" drop "$binary"
}

add_entry() { rds XADD taskiq '*' data "$1" > /dev/null; }
entries() { rds XLEN taskiq; }
add_item() { rds LPUSH taskiq "$1" > /dev/null; }
items() { rds LLEN taskiq; }

case_dead_message_of_a_stream_is_shown_and_sent_again_once() { in_redis; poison_is_shown_and_sent_again_once add_entry entries; }

case_dead_message_of_a_list_is_shown_and_sent_again_once() {
    in_redis
    url="$url?broker=list"
    poison_is_shown_and_sent_again_once add_item items
}

case_dead_entry_without_a_message_can_only_be_dropped() {
    local key
    in_redis
    serve
    rds XADD taskiq '*' other x > /dev/null
    until_letters 1
    key=$(letters)
    dead list
    says 'not to be sent: it holds no message'
    expect 1 '' 'holds no message: there is nothing to send; drop it' dead --url "$url" requeue "$key"
    expect 0 "$key dropped" '' dead --url "$url" drop "$key"
    stop_serving
}

case_dead_says_what_is_wrong() {
    expect 2 '' 'dead: expected list, show, requeue or drop, got nothing: see mageflow dead --help' dead
    expect 2 '' 'dead: expected list, show, requeue or drop, got "remove"' dead remove
    expect 2 '' 'dead show: expected KEY, as `mageflow dead list` shows it, got none' dead show
    expect 2 '' 'dead list: expected nothing more, got "x"' dead list x
    expect 2 '' 'keeps flows and their letters in the memory of the process that runs them' dead list
    in_redis
    expect 2 '' 'expected the key of a signature, as in task-…, or of a message, as in taskiq@1700000000000-0, got "nonsense"' \
        dead --url "$url" show nonsense
    expect 2 '' 'expected one of the queues of the URL, which are taskiq, taskiq:mageflow; name another with \?queue=' \
        dead --url "$url" drop other@1-0
    expect 2 '' 'there is no dead letter taskiq@1-0' dead --url "$url" requeue taskiq@1-0
}

# ---- the doctor ----------------------------------------------------------------------------------------------------------

doctor() { run doctor --url "$url" "$@"; }
# finding LEVEL WHAT FOUND: expressions
finding() { says "^$1 +$2, .*: .*$3"; }
# A result as Python writes it, under a key as taskiq makes it.
result() { printf "$2" | rds -x SET "$1" > /dev/null; }

case_doctor_finds_what_loses_work_on_a_server() {
    start_redis --save '' --appendonly no --maxmemory 100mb --maxmemory-policy allkeys-lru
    doctor
    [ "$code" = 1 ] || complain "expected exit code 1, got $code"
    finding error eviction 'allkeys-lru with maxmemory 100 MiB'
    says '^      do +CONFIG SET maxmemory-policy noeviction'
    finding warn persistence 'neither AOF nor snapshots: a restart loses everything'
    finding ok commands 'that the bridge needs are allowed'
    finding ok commands 'that the store needs are allowed'
    rds CONFIG SET maxmemory-policy volatile-ttl > /dev/null
    doctor
    [ "$code" = 0 ] || complain "expected exit code 0, got $code"
    finding warn eviction 'volatile-ttl'
    rds CONFIG SET maxmemory-policy noeviction > /dev/null
    rds CONFIG SET appendonly yes > /dev/null
    doctor
    finding ok eviction 'noeviction'
    finding ok persistence 'AOF'
    says '^[0-9]+ ok, 0 warnings, 0 errors$'
    rds REPLICAOF 127.0.0.1 1 > /dev/null
    doctor --json
    [ "$code" = 1 ] || complain "expected exit code 1 for a replica, got $code"
}

case_doctor_finds_who_else_reads_and_what_clients_cannot() {
    in_redis
    rds XGROUP CREATE taskiq taskiq 0 MKSTREAM > /dev/null
    rds XGROUP CREATE taskiq other 0 > /dev/null
    rds XADD taskiq '*' data x > /dev/null
    rds XREADGROUP GROUP other bob COUNT 1 STREAMS taskiq '>' > /dev/null
    doctor
    [ "$code" = 0 ] || complain "expected exit code 0 for warnings alone, got $code"
    finding warn foreign-group 'group "other": consumers 1, idle for [0-9]+ s, messages pending 1$'
    says '^      do +.*redis-cli XGROUP DESTROY taskiq other$'
    finding ok results-form 'no result is there'
    result 0123456789abcdef0123456789abcde1 '\x80\x04\x95\x50\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x06is_err\x94\x89'
    result 0123456789abcdef0123456789abcde2 '\x80\x02}(X\x06\x00\x00\x00is_err\x89'
    result 0123456789abcdef0123456789abcde3 'something else'
    url="$url?result_serializer=json"
    doctor
    [ "$code" = 1 ] || complain "expected exit code 1, got $code"
    finding error results-form 'of 2 results that were looked at: 2 pickle$'
    says '^      do +.*say result_serializer=pickle in the URL'
    finding warn results-ttl '2 of 2 results that were looked at stay for ever'
    result 0123456789abcdef0123456789abcde4 '{"is_err": false, "log": null}'
    doctor --json
    says '"level":"warn",.*"what":"results-form",.*"found":"of 3 results that were looked at: 1 json, 2 pickle"'
    [ "$(wc -l < "$work/out")" = "$(grep -c '^{"level":"[a-z]*","where":"[^"]*","what":"[a-z-]*","expected":".*","found":".*","advice":".*"}$' \
        "$work/out")" ] || complain "expected one object a line"
}

case_doctor_finds_what_a_user_may_not_and_a_queue_of_another_kind() {
    in_redis
    rds ACL SETUSER weak on '>p' '~*' +@all -xadd '-xinfo|groups' -hset > /dev/null
    rds LPUSH taskiq x > /dev/null
    url="taskiq+unix://weak:p@$work/redis.sock"
    doctor
    [ "$code" = 1 ] || complain "expected exit code 1, got $code"
    finding error commands 'the bridge needs them: XADD, XINFO GROUPS$'
    finding error commands 'the store needs them: HSET, XADD$'
    finding error queue 'a list$'
    ! grep -q ':p@' "$work/out" || complain "a password is shown"
}

case_doctor_tells_of_an_engine_that_is_not_there() {
    help_has 'hatchet:$' || skip this build has no bridge to Hatchet
    url="hatchet://127.0.0.1:1?tls=none"
    export HATCHET_CLIENT_TOKEN
    HATCHET_CLIENT_TOKEN=e30.$(printf '{"sub":"s3cret"}' | base64 -w 0).x
    doctor
    [ "$code" = 1 ] || complain "expected exit code 1, got $code"
    finding error engine 'refused'
    ! grep -q "$HATCHET_CLIENT_TOKEN" "$work/out" || complain "the token is shown"
}

case_doctor_looks_at_a_file_and_says_what_cannot_be_opened() {
    in_a_file
    expect 2 '' 'doctor: expected no arguments, got "x"' doctor x
    expect 2 '' 'unknown scheme "nosuch"' doctor --url nosuch:
    doctor
    [ "$code" = 1 ] || complain "expected exit code 1, got $code"
    finding error open 'No such file'
    run run --url "$url" --load "$TASKS" --wait - <<< '{"task": "echo"}'
    doctor
    [ "$code" = 0 ] || complain "expected exit code 0, got $code"
    finding ok journal 'journal_mode wal'
    finding ok schema 'schema version [0-9]+'
    finding ok integrity 'ok'
    finding ok write 'it can'
    finding ok space '[0-9]+ MiB free'
    printf 'no database' > "$work/flows.db"
    doctor --json
    [ "$code" = 1 ] || complain "expected exit code 1, got $code"
    says '^\{"level":"error","where":"the URL","what":"open",'
}

run_case "$@"
