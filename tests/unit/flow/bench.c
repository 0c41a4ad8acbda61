#include "bench.h"

#include "memory.h"

void bench_init(bench *b)
{
    memset(b, 0, sizeof *b);
    counting_init(&b->counting);
    b->allocator = &b->counting.allocator;
    b->limits = (mf_limits){.struct_size = sizeof(mf_limits)};
    is_status(mfi_framework_init(&b->framework, b->allocator), MF_OK);
    mfi_plan_init(&b->plan, b->allocator, &b->limits, &b->framework);
}

void bench_fini(bench *b)
{
    mfi_plan_fini(&b->plan);
    mfi_flow_event_release(&b->event);
    mf_state_unref(&b->state);
    mf_spec_unref(b->spec);
    mfi_framework_fini(&b->framework);
    cr_assert(eq(long, atomic_load(&b->counting.live), 0), "blocks that nobody released");
    cr_assert(eq(long, atomic_load(&b->counting.wrong_size), 0));
}

/* ---- making ---------------------------------------------------------------------------------------------------------- */

mf_key key_of(mf_kind kind, unsigned n)
{
    static const char *const prefixes[] = {"", "task", "chain", "swarm"};
    char text[64];
    mf_key key;
    snprintf(text, sizeof text, "%s-%025u", prefixes[kind], n);
    is_status(mf_key_parse(mf_cstr(text), &key, NULL), MF_OK);
    return key;
}

mf_message *json(bench *b, const char *text)
{
    mf_message *message = NULL;
    mf_error err;
    if (text != NULL)
        cr_assert(eq(int, mf_message_from_json(mf_cstr(text), NULL, b->allocator, &message, &err), MF_OK), "%s", err.text);
    return message;
}

static mf_str text_of(bench *b, const char *text)
{
    return mf_str_of(mfi_copy_text(b->allocator, mf_cstr(text)), strlen(text));
}

mf_spec *spec_of(bench *b, mf_kind kind, const char *name, unsigned n, const char *kwargs)
{
    mf_spec *spec = mf_spec_create(b->allocator, kind, mf_cstr(name));
    cr_assert(ne(ptr, spec, NULL));
    if (n > 0)
        spec->key = key_of(kind, n);
    spec->kwargs = json(b, kwargs);
    return spec;
}

void put_chain(bench *b, size_t n)
{
    b->spec = spec_of(b, MF_KIND_CHAIN, "chain", 1, NULL);
    b->spec->steps = mfi_alloc_array(b->allocator, n, sizeof *b->spec->steps);
    b->spec->step_count = n;
    for (size_t i = 0; i < n; i++) {
        char name[32], field[32];
        snprintf(name, sizeof name, "step%zu", i);
        snprintf(field, sizeof field, "r%zu", i);
        b->spec->steps[i] = (mf_item){.spec = spec_of(b, MF_KIND_TASK, name, 0, NULL)};
        b->spec->steps[i].spec->return_field = text_of(b, field);
    }
    b->state = (mf_state){.total = n};
}

void put_swarm(bench *b, uint64_t n, uint32_t max_concurrency, uint64_t stop_after_failures)
{
    b->spec = spec_of(b, MF_KIND_SWARM, "swarm", 1, NULL);
    b->spec->max_concurrency = max_concurrency;
    b->spec->stop_after_failures = stop_after_failures;
    b->state = (mf_state){.total = n, .closed = true};
}

void put_inside(bench *b, mf_kind container)
{
    b->spec->container = b->spec->parent = key_of(container, 9);
    b->spec->index = 3;
}

static mf_key *one_key(bench *b, unsigned n)
{
    mf_key *keys = mfi_alloc_array(b->allocator, 1, sizeof *keys);
    cr_assert(ne(ptr, keys, NULL));
    keys[0] = key_of(MF_KIND_TASK, n);
    return keys;
}

void add_callbacks(bench *b)
{
    b->spec->on_success = one_key(b, 71);
    b->spec->on_error = one_key(b, 72);
    b->spec->on_success_count = b->spec->on_error_count = 1;
}

/* ---- acting ---------------------------------------------------------------------------------------------------------- */

static void apply_event(bench *b, mfi_flow_event *event)
{
    event->settle = 7;
    mfi_plan_reset(&b->plan);
    mfi_flow_event_release(&b->event);
    b->event = *event;
    mfi_flow_apply(b->spec, &b->state, &b->event, NOW, &b->plan);
}

void apply(bench *b, mfi_flow_event_kind kind, uint64_t index, const char *value, const char *sent)
{
    apply_event(b, &(mfi_flow_event){.kind = kind, .index = index, .value = json(b, value), .sent = json(b, sent)});
}

void apply_early(bench *b, mfi_flow_event_kind kind, uint64_t index, mf_key child)
{
    apply_event(b, &(mfi_flow_event){.kind = kind, .index = index, .child = child});
}

void start(bench *b, const char *message, const char *inherited)
{
    apply_event(b, &(mfi_flow_event){.kind = MFI_EV_START, .value = json(b, message), .inherited = json(b, inherited)});
}

void publish(bench *b, const char *name, size_t n, const char *message, bool exhausted)
{
    mf_item items[16] = {{0}};
    for (size_t i = 0; i < n; i++)
        items[i] = (mf_item){.spec = spec_of(b, MF_KIND_TASK, name, 0, NULL), .message = json(b, message)};
    mfi_plan_reset(&b->plan);
    mfi_swarm_publish(b->spec, &b->state, items, n, exhausted, &b->plan);
    for (size_t i = 0; i < n; i++) {
        mf_spec_unref(items[i].spec);
        mf_message_unref(items[i].message);
    }
}

/* ---- looking --------------------------------------------------------------------------------------------------------- */

struct lines {
    char   at[4096];
    size_t len;
};

static void add(struct lines *l, const char *fmt, ...) MF_PRINTF(2, 3);
static void add(struct lines *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(l->at + l->len, sizeof l->at - l->len, fmt, args);
    va_end(args);
    l->len += len > 0 ? (size_t)len : 0;
}

static void add_message(struct lines *l, const char *word, const mf_message *message)
{
    char *text = NULL;
    size_t len = 0;
    if (message == NULL)
        return;
    is_status(mf_message_to_json(message, NULL, &text, &len, NULL), MF_OK);
    add(l, " %s%s", word, text);
    mf_json_free(NULL, text, len);
}

/* "chain-…1" */
static void add_key(struct lines *l, const mf_key *key)
{
    add(l, " %.5s…%s", key->text, key->text + strcspn(key->text, "123456789"));
}

const char *effects(bench *b)
{
    static struct lines l;
    l.len = 0;
    l.at[0] = '\0';
    is_status(b->plan.status, MF_OK);
    for (size_t i = 0; i < b->plan.entry_count; i++) {
        const mf_entry *e = &b->plan.entries[i];
        add(&l, "entry %.*s", (int)e->spec->name.len, e->spec->name.at);
        add_key(&l, &e->unit.key);
        add(&l, " %llu/%u #%u", (unsigned long long)e->unit.index, e->unit.epoch, e->attempt);
        add_message(&l, "", e->message);
        add_message(&l, "error ", e->error);
        add(&l, "\n");
    }
    for (size_t i = 0; i < b->plan.outcome_count; i++) {
        const mf_outcome *o = &b->plan.outcomes[i];
        add(&l, "outcome %llu %s", (unsigned long long)o->index, mf_signature_status_name(o->status));
        add_message(&l, "", o->value);
        add(&l, "\n");
    }
    for (size_t i = 0; i < b->plan.settle_count; i++)
        add(&l, "settle %llu\n", (unsigned long long)b->plan.settles[i]);
    for (size_t i = 0; i < b->plan.start_count; i++) {
        const mfi_start *s = &b->plan.starts[i];
        add(&l, "start");
        add_key(&l, &s->key);
        add(&l, " %llu", (unsigned long long)s->index);
        add_message(&l, s->is_result ? "result " : "message ", s->message);
        add_message(&l, "inherited ", s->inherited);
        add_message(&l, "error ", s->error);
        add(&l, "\n");
    }
    for (size_t i = 0; i < b->plan.removal_count; i++) {
        add(&l, "remove");
        add_key(&l, &b->plan.removals[i].key);
        add(&l, "\n");
    }
    return l.at;
}

const char *state_text(bench *b)
{
    static char text[160];
    const mf_state *s = &b->state;
    snprintf(text, sizeof text, "%s %llu/%llu running %llu done %llu failed %llu canceled %llu epoch %u",
             mf_signature_status_name(s->status), (unsigned long long)s->next, (unsigned long long)s->total,
             (unsigned long long)s->running, (unsigned long long)s->done, (unsigned long long)s->failed,
             (unsigned long long)s->canceled, s->epoch);
    return text;
}
