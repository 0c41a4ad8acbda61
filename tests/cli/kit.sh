# kit.sh: what the tests of the command share: sourced by them, with the name of a case as $1.
#
# MAGEFLOW is the command, TASKS the example module, MODULES a directory with the modules of this folder, MANUAL the man page.
set -uo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAGEFLOW_URL
: > "$work/out" > "$work/err"
failed=0

# help_has REGEX: whether the general help has such a line. Not through a pipe: grep -q ends at the first match, and the command
# would die of what it still has to write.
help_has() { grep -q -- "$1" <<< "$("$MAGEFLOW" --help)"; }

complain() {
    echo "$*"
    sed 's/^/  stdout: /' "$work/out"
    sed 's/^/  stderr: /' "$work/err"
    failed=1
}

# run ARGUMENT...: the command, its output in $work/out and $work/err, its exit code in $code
run() {
    code=0
    "$MAGEFLOW" "$@" > "$work/out" 2> "$work/err" || code=$?
}

# expect CODE OUT ERR ARGUMENT...: OUT is all of standard output, ERR a regular expression in standard error ('' for empty)
expect() {
    local want=$1 out=$2 err=$3
    shift 3
    run "$@"
    [ "$code" = "$want" ] || complain "mageflow $*: expected exit code $want, got $code"
    [ "$(cat "$work/out")" = "$out" ] || complain "mageflow $*: expected '$out' on standard output"
    if [ -z "$err" ]; then
        [ ! -s "$work/err" ] || complain "mageflow $*: expected nothing on standard error"
    else
        grep -Eq -- "$err" "$work/err" || complain "mageflow $*: expected /$err/ on standard error"
    fi
}

says() {
    grep -Eq -- "$1" "$work/out" || complain "expected /$1/ on standard output"
}

# run_case [CASE]: without one the list of cases
run_case() {
    if [ $# = 0 ]; then
        declare -F | sed -n 's/^declare -f case_//p'
        exit 0
    fi
    "case_$1"
    exit "$failed"
}
