#!/bin/bash
# checks_test.sh: the checks of the source tree find what they are for, and leave the rest alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

fresh() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/tests/{unit,stress} "$tree"/lib/{base,sync,queue,pool,codec,flow,runtime,include/mageflow} "$tree"/adapters/{local,redis,fleet} "$tree"/cli
    echo '#include <mageflow/base.h>'  > "$tree/lib/base/memory.h"
    echo 'struct base;'                > "$tree/lib/include/mageflow/base.h"
    echo '#include <mageflow/base.h>'  > "$tree/lib/include/mageflow/pool.h"
    echo '#include "memory.h"'         > "$tree/lib/queue/ring.h"
    echo '#include "ring.h"'           > "$tree/lib/pool/pool.c"
    echo 'struct wire;'                > "$tree/adapters/fleet/wire.h"
    echo '#include <mageflow/pool.h>'  > "$tree/adapters/fleet/adapter.c"
    echo 'int kit;'                     > "$tree/tests/stress/kit.h"
    echo 'enum { MFI_MANAGER_LOCAL, MFI_MANAGER_QUEUEY, MFI_MANAGER_COUNT };' > "$tree/adapters/factory.c"
    echo 'int main(void);'             > "$tree/cli/main.c"
    mkdir -p "$tree/tests/contract/flows"
    echo 'mf_status mf_go(void);'      > "$tree/lib/include/mageflow/flow.h"
    echo 'typedef struct mf_start_options { int delay; } mf_start_options;' > "$tree/lib/include/mageflow/control.h"
    echo 'FLOW_TEST(flow_a, it_goes)'  > "$tree/tests/contract/flows/a_test.c"
    echo '    {"fleet", open_fleet, {.outside = true}},' > "$tree/tests/contract/flows/fleet_makers.c"
    echo 'by the flag `outside`'       > "$tree/adapters/fleet/README.md"
    echo '| `mf_go`, `delay` | `flow_a/it_goes` |' > "$tree/tests/contract/flows/README.md"
}

# expect good|bad CHECK WHAT PATH LINE: the check of a sound tree with that line added.
expect() {
    fresh
    printf '%s\n' "$5" >> "$tree/$4"
    local got=good
    perl "$here/$2.pl" "$tree" > "$tree/.said" 2>&1 || got=bad
    if [ "$got" != "$1" ]; then
        echo "$2: expected $1, got $got: $3"
        sed 's/^/    /' "$tree/.said"
        failed=1
    fi
}

expect good layers 'a header to the left'                lib/pool/pool.c      '#include "memory.h"'
expect bad  layers 'a header to the right'               lib/queue/ring.h     '#include "../pool/job.h"
#include "wire.h"'
expect bad  layers 'the other column'                    lib/codec/json.c     '#include "ring.h"'
expect bad  layers 'runtime sees the pool, public'       lib/runtime/client.c '#include <mageflow/pool.h>'
expect bad  layers 'runtime sees the pool, internal'     lib/runtime/client.c '#include "ring.h"'
expect bad  layers 'a public header to the right'        lib/include/mageflow/base.h '#include <mageflow/pool.h>'
expect bad  layers 'a public header nobody placed'       lib/include/mageflow/novel.h 'struct novel;'
expect bad  layers 'a folder nobody placed'              lib/novel.c          'int novel;'
expect bad  layers 'hiredis in the library'              lib/codec/json.c     '#include <hiredis/hiredis.h>'
expect bad  layers 'nghttp2 in the command'              cli/main.c           '#include <nghttp2/nghttp2.h>'
expect good layers 'hiredis in an adapter'               adapters/redis/redis.c '#include <hiredis/hiredis.h>'
expect bad  layers 'an internal header in the command'   cli/main.c           '#include "ring.h"'
expect bad  layers 'an adapter in another'               adapters/local/adapter.c '#include "wire.h"'
expect good layers 'an include in a comment'             lib/codec/json.c     '/* #include "ring.h" */'

expect bad  names 'an identifier'                        lib/flow/chain.c     'int taskiq_labels;'
expect bad  names 'capitals'                             lib/flow/chain.c     'enum { MF_CELERY };'
expect bad  names 'a literal'                            cli/main.c           'const char *x = "for hatchet: no";'
expect bad  names 'a name known by its folder'           cli/main.c           'int fleet_size;'
expect bad  names 'a name known by its enum value'       cli/main.c           'int queuey_size;'
expect good names 'what only ends the enum'              cli/main.c           'int count;'
expect good names 'a comment'                            lib/flow/chain.c     '/* as Celery does */ int a; // and TaskIQ'
expect bad  names 'after a literal with a comment in it' lib/flow/chain.c     'const char *u = "redis://x"; int celery;'
expect bad  names 'local as a name'                      cli/main.c           'const char *x = "local";'
expect bad  names 'local as a scheme'                    cli/main.c           'const char *x = "local:?workers=3";'
expect bad  names 'local in an identifier of ours'       lib/flow/chain.c     'int mfi_local_create(void);'
expect good names 'local as a word'                      lib/flow/chain.c     'static thread_local int x; int local_max; char *t = "local time"; void *p = localtime;'

expect bad  files 'two headers of one name'              lib/codec/ring.h     'int x;'
expect bad  files 'a test hides a header of ours'        tests/unit/ring.h    'int x;'
expect good files 'a header of a test alone'             tests/unit/kit.h     'int x;'
expect bad  files 'a file that tells too much'           lib/codec/json.c     "$(yes 'int x;' | head -n 601)"
expect good files 'a file of the last allowed length'    lib/codec/json.c     "$(yes 'int x;' | head -n 600)"

expect good scenarios 'a table that is true'             lib/flow/chain.c     ''
expect bad  scenarios 'a scenario that is not there'     tests/contract/flows/README.md '| x | `flow_a/it_comes` |'
expect bad  scenarios 'a function without one'           lib/include/mageflow/control.h 'mf_status mf_stop(void);'
expect bad  scenarios 'an option without one'            lib/include/mageflow/flow.h 'typedef struct mf_swarm_options { int max; } mf_swarm_options;'
expect bad  scenarios 'a difference that nobody tells'   tests/contract/flows/fleet_makers.c '    {"more", open_fleet, {.maps = true}},'

exit "$failed"
