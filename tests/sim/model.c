/* What must have become of every node. The model knows nothing of records, messages or commits: it works down and up the
 * tree with a few numbers. Only one thing is taken from the store as it is: what was canceled, since a cancel from outside
 * comes at any time; everything that follows from it is again computed. */
#include "flows.h"

#include <stdio.h>
#include <string.h>

/* The fields that reach a task's answer. */
typedef struct fields {
    bool     has_m;
    int64_t  m;
    uint64_t results;
    int64_t  k;
    int64_t  x;
} fields;

typedef struct expected {
    mf_signature_status status;
    uint64_t            hash;       /* of the result, when done */
    bool                open;       /* something below was removed while it lived: what came of it depends on when */
} expected;

typedef struct model {
    flow     *f;
    mfi_sim  *sim;
    mf_store *store;
} model;

static expected check(model *m, node *n, fields in, int64_t k_above, bool may_be_canceled);

/* ---- what is in the store ---------------------------------------------------------------------------------------------- */

typedef struct observed {
    bool                there;
    mf_signature_status status;
    uint64_t            hash;
    bool                started;
    char                type[24];   /* failed: of its error */
} observed;

static void read_type(observed *o, const mf_message *error)
{
    mf_value type;
    mf_str text = {NULL, 0};
    if (o->status == MF_STATUS_FAILED && mf_value_get(mf_message_value(error), MF_STR_LIT("type"), &type) &&
        mf_value_str(type, &text) == MF_OK)
        snprintf(o->type, sizeof o->type, "%.*s", (int)text.len, text.at);
}

static bool failed_as(const observed *o, const char *type)
{
    return o->status == MF_STATUS_FAILED && strcmp(o->type, type) == 0;
}

static uint64_t results_hash(model *m, const mf_key *key)
{
    mf_outcome page[CHILDREN_MAX * 2];
    size_t got = 0;
    uint64_t hash = LIST_HASH;
    for (uint64_t from = 0;; from += got) {
        if (mf_store_outcomes(m->store, key, from, CHILDREN_MAX * 2, page, &got, NULL) != MF_OK || got == 0)
            return hash;
        for (size_t i = 0; i < got; i++) {
            mf_value value = mf_message_value(page[i].value), list;
            bool done = page[i].status == MF_STATUS_DONE && page[i].value != NULL;
            if (done && mf_value_type(value) == MF_TYPE_MAP && mf_value_get(value, MF_STR_LIT("results"), &list))
                value = list;       /* the end of a swarm inside */
            hash = list_hash(hash, done ? value_hash(value) : NIL_HASH);
            mf_message_unref(page[i].value);
        }
    }
}

static observed look(model *m, const mf_key *key)
{
    mf_record record = {0};
    observed o = {0};
    if (!mf_key_is_set(key) || mf_store_load(m->store, key, 1, &record, NULL) != MF_OK || record.spec == NULL)
        return o;
    o.there = true;
    o.status = record.state.status;
    o.started = record.state.started_ms != 0;
    read_type(&o, record.state.result);
    mf_value value = mf_message_value(record.state.result), list;
    if (mf_value_type(value) == MF_TYPE_MAP && mf_value_get(value, MF_STR_LIT("results"), &list))
        value = list;       /* a chain whose last step was a swarm */
    o.hash = record.spec->kind == MF_KIND_SWARM ? results_hash(m, key) : value_hash(value);
    mf_record_release(&record);
    return o;
}

/* The outcome of an item of a swarm. */
static observed look_item(model *m, const mf_key *swarm, uint64_t index)
{
    mf_outcome outcome;
    size_t got = 0;
    observed o = {0};
    if (mf_store_outcomes(m->store, swarm, index, 1, &outcome, &got, NULL) != MF_OK || got == 0)
        return o;
    o.there = true;
    o.status = outcome.status;
    o.started = outcome.status != MF_STATUS_PENDING;
    read_type(&o, outcome.value);
    mf_value value = mf_message_value(outcome.value), list;
    if (mf_value_type(value) == MF_TYPE_MAP && mf_value_get(value, MF_STR_LIT("results"), &list))
        value = list;
    o.hash = value_hash(value);
    mf_message_unref(outcome.value);
    return o;
}

/* ---- comparing --------------------------------------------------------------------------------------------------------- */

static void differ(model *m, const node *n, const char *what, mf_signature_status is, mf_signature_status should)
{
    mfi_sim_break(m->sim, "node %lld (%.12s): %s is %s, the model says %s", (long long)n->id, n->key.text, what,
                  mf_signature_status_name(is), mf_signature_status_name(should));
}

/* Whether what was seen is what was expected; what was canceled, is. Gives what the nodes above go on with. */
static expected settle(model *m, node *n, observed o, expected e, bool may_be_canceled, const char *what)
{
    if (!o.there) {
        e.open = e.open || (mf_key_is_set(&n->key) && n->remove_tried);
        return e;
    }
    if (n->ttl_ms > 0 && o.status == MF_STATUS_FAILED)
        return (expected){MF_STATUS_FAILED, 0, true};      /* its time was over first, perhaps before it had its message */
    if (e.open)
        return (expected){o.status, o.hash, false};
    if (n->remove_tried && o.status == MF_STATUS_CANCELED)
        return (expected){MF_STATUS_CANCELED, NIL_HASH, true};     /* by a cancel, or by a removal that a crash cut short: a failure above */
    if (n->kind == NODE_TASK && mode_is_foreign(n->mode) && failed_as(&o, "Timeout"))
        return (expected){MF_STATUS_FAILED, 0, false};      /* its time was over before the answer came: lib/testing/ends.c asks when */
    if (n->kind == NODE_TASK && mode_is_foreign(n->mode) && o.status == MF_STATUS_FAILED &&
        (n->mode != MODE_PEER_FAIL || !failed_as(&o, "ForeignError")))
        mfi_sim_break(m->sim, "node %lld (%.12s): %s is failed as \"%s\", which no peer said", (long long)n->id, n->key.text, what, o.type);
    bool never = o.status == MF_STATUS_PENDING && !o.started;
    if (may_be_canceled && (o.status == MF_STATUS_CANCELED || never))
        return (expected){MF_STATUS_CANCELED, NIL_HASH, false};
    if (n->cancel_tried && o.status == MF_STATUS_CANCELED)
        return (expected){MF_STATUS_CANCELED, NIL_HASH, false};
    if (o.status != e.status)
        differ(m, n, what, o.status, e.status);
    else if (e.status == MF_STATUS_DONE && o.hash != e.hash)
        mfi_sim_break(m->sim, "node %lld (%.12s): %s has another result than the model says", (long long)n->id, n->key.text, what);
    return e;
}

static bool ended_early(mf_signature_status status)
{
    return status == MF_STATUS_FAILED || status == MF_STATUS_CANCELED;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------------- */

static expected task_expected(const node *n, fields in, int64_t k_above)
{
    int64_t k = k_above != 0 ? k_above : in.k;
    expected e = {MF_STATUS_DONE, 0, false};
    switch (n->mode) {
    case MODE_FAIL:
    case MODE_EXHAUST:
    case MODE_TIMEOUT:
    case MODE_STUCK:
    case MODE_POISON:
    case MODE_PEER_SILENT:
    case MODE_PEER_FAIL:
        e.status = MF_STATUS_FAILED;
        break;
    case MODE_CANCEL:
        e.status = MF_STATUS_CANCELED;
        break;
    case MODE_ODD:
        e.status = in.x % 2 == 1 ? MF_STATUS_FAILED : MF_STATUS_DONE;
        break;
    default:
        break;
    }
    if (e.status == MF_STATUS_DONE)
        e.hash = int_hash(task_answer(n->id, in.has_m, in.m, in.results, k, in.x));
    return e;
}

/* Its message became a dead letter: then it failed, unless a copy of it had come to its end before. */
static expected dead_letter(model *m, const mf_key *key, uint64_t index, expected e, observed o)
{
    if (failed_as(&o, "TooManyDeliveries") && mf_key_is_set(key) && mfi_sim_is_dead_letter(m->sim, key, index))
        return (expected){MF_STATUS_FAILED, 0, false};
    return e;
}

/* The same for a child without a record, whose end is known by what stands around it. */
static expected given_up(model *m, const mf_key *around, uint64_t index, const node *child, expected e)
{
    if (mf_key_is_set(&child->key))
        return e;
    return dead_letter(m, around, index, e, child->parent->kind == NODE_CHAIN ? look(m, around) : look_item(m, around, index));
}

static int64_t k_of(const node *n, int64_t k_above)
{
    return k_above != 0 ? k_above : n->k;
}

static expected check_chain(model *m, node *n, fields in, int64_t k_above, bool canceled)
{
    expected e = {MF_STATUS_DONE, NIL_HASH, false};
    for (unsigned i = 0; i < n->child_count; i++) {
        e = given_up(m, &n->key, i, n->children[i], check(m, n->children[i], in, k_of(n, k_above), canceled));
        if (e.status != MF_STATUS_DONE || e.open)
            return e;
        in = (fields){.results = e.hash};
    }
    return e;
}

static expected swarm_expected(const node *n, unsigned failed, bool breaks, uint64_t hash, bool open)
{
    if (open)
        return (expected){MF_STATUS_DONE, 0, true};
    if (breaks || (n->stop_after > 0 && failed >= n->stop_after))
        return (expected){MF_STATUS_FAILED, 0, false};
    return (expected){MF_STATUS_DONE, hash, false};
}

/* How many items were added, where that happened from outside: it may have ended before the last. */
static uint64_t total_of(model *m, const node *n)
{
    mf_record record = {0};
    uint64_t total = 0;
    if (mf_key_is_set(&n->key) && mf_store_load(m->store, &n->key, 1, &record, NULL) == MF_OK && record.spec != NULL)
        total = record.state.total;
    mf_record_release(&record);
    return total;
}

static expected check_swarm(model *m, node *n, fields in, int64_t k_above, bool canceled)
{
    uint64_t hash = LIST_HASH;
    unsigned failed = 0;
    bool open = false;
    for (unsigned i = 0; i < n->child_count && !(n->open && i >= total_of(m, n)); i++) {
        node *child = n->children[i];
        expected e = given_up(m, &n->key, i, child, check(m, child, in, k_of(n, k_above), canceled));
        if (mf_key_is_set(&n->key) && !mf_key_is_set(&child->key))
            e = settle(m, child, look_item(m, &n->key, i), e, canceled, "its outcome");
        observed item = look_item(m, &n->key, i);
        if (mf_key_is_set(&child->key) && !e.open && item.there && item.status == MF_STATUS_DONE && e.status == MF_STATUS_DONE &&
            item.hash != e.hash)
            mfi_sim_break(m->sim, "node %lld (%.12s): item %u ended as the model says, and its outcome here is another one",
                          (long long)n->id, n->key.text, i);
        failed += e.status == MF_STATUS_FAILED;
        open = open || e.open;
        hash = list_hash(hash, e.status == MF_STATUS_DONE ? e.hash : NIL_HASH);
    }
    return swarm_expected(n, failed, false, hash, open);
}

static expected check_map(model *m, node *n, int64_t k_above, bool canceled)
{
    uint64_t hash = LIST_HASH;
    unsigned failed = 0;
    bool breaks = n->breaks_at >= 0 && (unsigned)n->breaks_at <= n->items;
    for (unsigned i = 0; i < n->items && !(breaks && i >= (unsigned)n->breaks_at); i++) {
        expected e = task_expected(n->children[0], (fields){.x = i}, k_of(n, k_above));
        observed o = look_item(m, &n->key, i);
        e = settle(m, n->children[0], o, dead_letter(m, &n->key, i, e, o), canceled || breaks, "an item's outcome");
        failed += e.status == MF_STATUS_FAILED;
        hash = list_hash(hash, e.status == MF_STATUS_DONE ? e.hash : NIL_HASH);
    }
    return swarm_expected(n, failed, breaks, hash, false);
}

/* What did not follow must not have begun, other than by its own cancel. */
static void check_silent(model *m, node *n)
{
    observed o = look(m, &n->key);
    if (o.there && (o.started || (o.status != MF_STATUS_PENDING && o.status != MF_STATUS_CANCELED)))
        differ(m, n, "a callback that does not follow", o.status, MF_STATUS_PENDING);
}

static void check_callbacks(model *m, node *n, fields in, int64_t k_above, expected e)
{
    fields sent = in;
    if (e.open)
        return;
    if (n->kind == NODE_TASK && k_above != 0)
        sent.k = k_above;
    for (unsigned i = 0; i < n->success_count; i++) {
        if (e.status == MF_STATUS_DONE)
            check(m, n->success[i], (fields){.results = e.hash}, 0, false);
        else
            check_silent(m, n->success[i]);
    }
    for (unsigned i = 0; i < n->error_count; i++) {
        if (e.status == MF_STATUS_FAILED)
            check(m, n->error[i], sent, 0, false);
        else
            check_silent(m, n->error[i]);
    }
}

/* What an edit was told to have done is there, whatever was written since. */
static void check_edit(model *m, const node *n)
{
    mf_record record = {0};
    mf_value edited;
    if (mf_key_is_set(&n->edited) && mf_store_load(m->store, &n->edited, 1, &record, NULL) == MF_OK && record.spec != NULL &&
        (record.state.kwargs == NULL || !mf_value_get(mf_message_value(record.state.kwargs), MF_STR_LIT("edited"), &edited)))
        mfi_sim_break(m->sim, "node %lld (%.12s): an edit of its kwargs is lost", (long long)n->id, n->edited.text);
    mf_record_release(&record);
}

static expected check(model *m, node *n, fields in, int64_t k_above, bool may_be_canceled)
{
    check_edit(m, n);
    observed o = look(m, &n->key);
    /* What stands in something that ended early may have been canceled with it. */
    bool below = may_be_canceled || (o.there && ended_early(o.status));
    expected e;
    switch (n->kind) {
    case NODE_CHAIN:
        e = check_chain(m, n, in, k_above, below);
        break;
    case NODE_SWARM:
        e = check_swarm(m, n, in, k_above, below);
        break;
    case NODE_MAP:
        e = check_map(m, n, k_above, below);
        break;
    default:
        e = task_expected(n, in, k_above);
        if (mf_key_is_set(&n->key))
            e = dead_letter(m, &n->key, 0, e, o);
        break;
    }
    e = settle(m, n, o, e, may_be_canceled, "it");
    if (n->kind != NODE_MAP || e.status != MF_STATUS_PENDING)
        check_callbacks(m, n, in, k_above, e);
    return e;
}

static void check_waited(model *m, expected e)
{
    flow *f = m->f;
    if (!f->waits || e.open)
        return;
    mf_status should = e.status == MF_STATUS_DONE ? MF_OK : e.status == MF_STATUS_FAILED ? MF_E_TASK_FAILED : MF_E_CANCELED;
    if (f->waited != should)
        mfi_sim_break(m->sim, "who waited for the flow was told %s, and it ended as %s", mf_status_name(f->waited),
                      mf_signature_status_name(e.status));
}

void model_check(flow *f, mfi_sim *sim)
{
    model m = {f, sim, mfi_sim_store(sim)};
    expected e = check(&m, f->root, (fields){.has_m = true, .m = f->message}, 0, false);
    check_waited(&m, e);
}
