#!/bin/bash
# file_test.sh CASE: one promise of the command about the file of flows that its URL names. Without CASE: the list of cases.
source "$(dirname "$0")/kit.sh"

skip() { echo "skipped: $*"; exit 77; }
[ $# = 0 ] || help_has 'sqlite:FILE' || skip this build has no SQLite
in_file() { echo "local:?store=sqlite:$work/$1"; }

# Only in a file system of its own is a disk easily full. $disk: 1 MiB that nobody else sees.
if [ "${1:-}" = a_full_disk_is_said_and_room_mends_it ] && [ -z "${OWN_MOUNTS:-}" ]; then
    unshare -m true 2> /dev/null || skip no file system of our own to fill here
    rm -rf "$work"
    OWN_MOUNTS=1 exec unshare -m bash "$0" "$@"
fi

case_what_is_no_file_of_flows_says_what_was_expected() {
    local verb
    echo 'this is a letter to my aunt' > "$work/letter"
    mkfifo "$work/pipe"
    for verb in list 'send add' worker; do
        expect 2 '' 'letter: the file is not a database; expected one that mageflow made, .* give another name' \
            $verb --url "$(in_file letter)"
        expect 2 '' 'is a directory; a file was expected' $verb --url "$(in_file .)"
        expect 2 '' 'is a device, a pipe or a socket; a regular file was expected' $verb --url "$(in_file pipe)"
        ! grep -q 'server' "$work/err" || complain "there is no server behind a file"
    done
    [ "$(cat "$work/letter")" = 'this is a letter to my aunt' ] || complain 'the letter was written to'
    expect 2 '' 'typo.db: No such file or directory; expected the file of flows that are there already' list --url "$(in_file typo.db)"
    [ ! -e "$work/typo.db" ] || complain 'a verb that looks made a file'
    expect 2 '' 'a % must be followed by two hexadecimal digits, .*; a % itself is written %25' list --url "$(in_file '50%.db')"
    expect 2 '' 'expected name=value; in a value & is written %26' list --url "$(in_file 'a&b.db')"
}

case_a_file_may_have_any_name() {
    local name
    mkdir "$work/a b?c%d&e#f" || exit 1
    for name in 'plain' 'a b?c%25d%26e#f/flows' 'größe;+=:' "-it's \"so\""; do
        expect 0 3 '' send --url "$(in_file "$name")" --load "$TASKS" add '{"a":1,"b":2}'
        run list --url "$(in_file "$name")"
        says 'done .* add'
    done
    for name in 'plain' 'a b?c%d&e#f/flows' 'größe;+=:' "-it's \"so\""; do
        [ -s "$work/$name" ] || complain "expected a file called $name"
    done
}

case_a_full_disk_is_said_and_room_mends_it() {
    local disk=$work/disk
    mkdir "$disk" && mount -t tmpfs -o size=1m tmpfs "$disk" || skip no file system of our own to fill here
    expect 0 3 '' send --url "$(in_file disk/flows)" --load "$TASKS" add '{"a":1,"b":2}'
    dd if=/dev/zero of="$disk/ballast" bs=4096 status=none 2> /dev/null
    expect 1 '' 'its disk is full; nothing was changed, and it goes on once there is room$' list --url "$(in_file disk/flows)"
    expect 1 '' 'its disk is full' send --url "$(in_file disk/flows)" --load "$TASKS" add '{"a":1,"b":2}'
    expect 1 '' 'its disk is full' send --url "$(in_file disk/new)" --load "$TASKS" add '{"a":1,"b":2}'
    run doctor --url "$(in_file disk/flows)"
    says '^error open, .*its disk is full'
    rm "$disk/ballast"
    expect 0 3 '' send --url "$(in_file disk/flows)" --load "$TASKS" add '{"a":1,"b":2}'
    run list --json --url "$(in_file disk/flows)"
    [ "$(grep -c '"status":"done"' "$work/out")" = 2 ] || complain 'expected both that were taken, and no other'
    umount "$disk"
}

run_case "$@"
