/* unit/flow/bench.h: one record on the bench: transitions are called on it directly, and its plan is read. */
#ifndef MFT_FLOW_BENCH_H
#define MFT_FLOW_BENCH_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "counting_allocator.h"
#include "framework.h"
#include "transition.h"

#include <stdio.h>

#define NOW 1234

typedef struct bench {
    counting_allocator counting;
    const mf_allocator *allocator;
    mf_limits          limits;
    mfi_framework      framework;
    mfi_plan           plan;
    mfi_flow_event     event;       /* applied last: the plan borrows from it */
    mf_spec           *spec;        /* the record */
    mf_state           state;
} bench;

/* Without a record yet. */
void bench_init(bench *b);
/* Releases everything and tells whether anything is still out. */
void bench_fini(bench *b);

mf_key      key_of(mf_kind kind, unsigned n);
mf_message *json(bench *b, const char *text);       /* from the bench's allocator; NULL gives NULL */
/* A spec to fill further; kwargs as JSON or NULL. With a key when n > 0. */
mf_spec *spec_of(bench *b, mf_kind kind, const char *name, unsigned n, const char *kwargs);
/* The record: a chain of n plain steps "step0", "step1", …; step i receives results in the field "r<i>". */
void put_chain(bench *b, size_t n);
/* The record: a swarm of items that are added: n of them, called "item". */
void put_swarm(bench *b, uint64_t n, uint32_t max_concurrency, uint64_t stop_after_failures);
/* The record stands at index 3 of another container. */
void put_inside(bench *b, mf_kind container);
void add_callbacks(bench *b);       /* task-…71 when it ends well, task-…72 when it fails */

/* Apply an event over an empty plan, which it leaves to be looked at. Texts are JSON or NULL. */
void apply(bench *b, mfi_flow_event_kind kind, uint64_t index, const char *value, const char *sent);
/* An item's end as one tells it that ended before it started. */
void apply_early(bench *b, mfi_flow_event_kind kind, uint64_t index, mf_key child);
void start(bench *b, const char *message, const char *inherited);
/* Publish n items with these messages (the same for all) as draw does. */
void publish(bench *b, const char *name, size_t n, const char *message, bool exhausted);

/* What the plan holds, one line an effect:
 *     entry item chain-…1 0/2 #1 {"a":1}     name, unit (key, index/epoch), attempt, message
 *     outcome 3 failed {"text":"x"}
 *     settle 7
 *     start task-…71 0 result 5              key, index, result or message, error
 *     remove task-…72 */
const char *effects(bench *b);
/* "active 1/3 running 1 done 0 failed 0 canceled 0 epoch 0": status, next/total */
const char *state_text(bench *b);

#define is_text(got, want)   cr_assert(eq(str, (char *)(got), (char *)(want)))
#define is_status(got, want) cr_assert(eq(str, (char *)mf_status_name(got), (char *)mf_status_name(want)))

#endif
