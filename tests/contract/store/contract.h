/* contract/store/contract.h: a store with a clock that the test turns, and the words that the promises are told in. */
#ifndef MFT_CONTRACT_H
#define MFT_CONTRACT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include "counting_allocator.h"
#include "makers.h"

#include <stdio.h>

enum { SWARM = 1, CHAIN = 2, TASK = 3, NUMBERED = 4, WORLD = 4 };    /* the records of world_make, by number */
enum { WORLD_ITEMS = 150 };                                          /* in its swarm */

typedef struct fixture {
    const store_maker *maker;
    counting_allocator counting;
    mf_clock           clock;
    int64_t            now_ns;
    mf_store          *store;
    mf_spec           *call;         /* of the plain task "work" */
    mf_spec           *framework;    /* of "mageflow.swarm_fill" */
} fixture;

/* Time in tests, in milliseconds: what is due after SOON is not due yet while a test goes on, and is after LATER. */
enum { SOON = 200, LATER = 250 };

void open_store(fixture *f, size_t maker);
/* Begin anew, with a store whose leases are SOON long. false: the store has none. */
bool open_leased(fixture *f);
/* Destroys the store and tells whether anything is still out, or was released with another size. */
void close_store(fixture *f);

/* A test over every store: STORE_TEST(suite, name) { … uses f … } */
#define STORE_TEST(suite, name)                                                                                        \
    static void suite##_##name(fixture *f);                                                                            \
    ParameterizedTestParameters(suite, name)                                                                           \
    {                                                                                                                  \
        return store_parameters();                                                                                     \
    }                                                                                                                  \
    ParameterizedTest(size_t *maker, suite, name)                                                                      \
    {                                                                                                                  \
        fixture f;                                                                                                     \
        open_store(&f, *maker);                                                                                        \
        suite##_##name(&f);                                                                                            \
        close_store(&f);                                                                                               \
    }                                                                                                                  \
    static void suite##_##name(fixture *f)
struct criterion_test_params store_parameters(void);

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* Key number n of that kind. */
mf_key key_of(mf_kind kind, unsigned n);
/* The key of a record of the world: SWARM, CHAIN, TASK, NUMBERED. */
mf_key world_key(unsigned number);
/* A small message that says n, to unref. */
mf_message *say(fixture *f, unsigned n);
unsigned said(const mf_message *message);    /* ~0u for NULL */
/* A spec with a key, to unref; container may be NULL. */
mf_spec *spec_of(fixture *f, mf_kind kind, unsigned n, const mf_key *container);
/* Put one record, which must work. spec is consumed. */
void put(fixture *f, mf_spec *spec, const mf_state *state);
/* A swarm of 150 items; a chain in it; a task in the chain; a numbered callback. All active but the task: pending. */
void world_make(fixture *f);

/* ---- acting: with one line, and no surprise ---------------------------------------------------------------------- */

mf_state state_of(fixture *f, const mf_key *key);    /* no references: its messages are only to look at */
/* Commit a state for key over the version that is there. */
void write_state(fixture *f, const mf_key *key, mf_state state);
void must_commit(fixture *f, const mf_batch *batch);
/* The batch must be refused by that guard at that index, and nothing may have changed. */
void must_refuse(fixture *f, const mf_batch *batch, mf_guard guard, size_t index);
void turn_clock(fixture *f, int64_t ms);
mf_entry entry_for(fixture *f, const mf_key *key, uint64_t index);
#define send send_entry    /* libc has one of that name, which a store's own socket may need */
void send(fixture *f, mf_entry entry);
/* Take one; false: nothing is due. Its references are dropped again. */
bool take_one(fixture *f, mf_taken *out);
/* Take one for that item, which must be there. */
mf_taken take_item(fixture *f, uint64_t index);
/* There is nothing to take. */
void nothing_is_due(fixture *f);
void is_load(fixture *f, size_t waiting, size_t claimed);
bool has_record(fixture *f, const mf_key *key);
mf_claim claim_one(fixture *f, const mf_key *key, uint64_t index, uint32_t epoch);
mf_claim claim_attempt(fixture *f, const mf_unit *unit, uint32_t attempt);
void settle(fixture *f, uint64_t token);

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* Everything one can read of the world's records and the queue, as one number. */
uint64_t fingerprint(fixture *f);

#define is_status(got, want) cr_assert(eq(str, (char *)mf_status_name(got), (char *)mf_status_name(want)))
#define is_word(got, want) \
    cr_assert(eq(str, (char *)mf_signature_status_name(got), (char *)mf_signature_status_name(want)))

#endif
