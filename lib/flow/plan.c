#include "plan.h"

#include "memory.h"

void mfi_plan_init(mfi_plan *plan, const mf_allocator *allocator, const mf_limits *limits, const struct mfi_framework *framework)
{
    memset(plan, 0, sizeof *plan);
    plan->allocator = allocator;
    plan->limits = limits;
    plan->framework = framework;
}

static void start_release(mfi_start *start)
{
    mf_message_unref(start->message);
    mf_message_unref(start->inherited);
    mf_message_unref(start->error);
}

struct mfi_own_note {
    struct mfi_own_note *next;
    mf_message          *value;
    char                *name;
    size_t               len;
};

static void own_notes_release(mfi_plan *plan)
{
    for (struct mfi_own_note *own; (own = plan->own) != NULL;) {
        plan->own = own->next;
        mf_message_unref(own->value);
        mfi_release(plan->allocator, own->name, own->len + 1);
        mf_delete(plan->allocator, own);
    }
}

/* Neighbours are mostly calls of the same task: such a run holds its spec once, with its first entry. */
static bool is_first_of_run(const mfi_plan *plan, size_t i)
{
    return i == 0 || plan->entries[i].spec != plan->entries[i - 1].spec;
}

static void entries_release(mfi_plan *plan)
{
    for (size_t i = 0; i < plan->entry_count; i++) {
        const mf_entry *entry = &plan->entries[i];
        if (is_first_of_run(plan, i))
            mf_spec_unref(entry->spec);
        mf_message_unref(entry->message);
        if (entry->error != NULL)
            mf_message_unref(entry->error);
    }
}

void mfi_plan_reset(mfi_plan *plan)
{
    entries_release(plan);
    own_notes_release(plan);
    for (size_t i = 0; i < plan->start_count; i++)
        start_release(&plan->starts[i]);
    plan->entry_count = plan->outcome_count = plan->settle_count = plan->start_count = 0;
    plan->removal_count = plan->item_count = plan->note_count = 0;
    plan->status = MF_OK;
    plan->changed = plan->resumes = false;
    plan->dead = NULL;
}

void mfi_plan_fini(mfi_plan *plan)
{
    mfi_plan_reset(plan);
    mfi_release(plan->allocator, plan->entries, plan->entry_capacity * sizeof *plan->entries);
    mfi_release(plan->allocator, plan->outcomes, plan->outcome_capacity * sizeof *plan->outcomes);
    mfi_release(plan->allocator, plan->settles, plan->settle_capacity * sizeof *plan->settles);
    mfi_release(plan->allocator, plan->starts, plan->start_capacity * sizeof *plan->starts);
    mfi_release(plan->allocator, plan->removals, plan->removal_capacity * sizeof *plan->removals);
    mfi_release(plan->allocator, plan->items, plan->item_capacity * sizeof *plan->items);
    mfi_release(plan->allocator, plan->notes, plan->note_capacity * sizeof *plan->notes);
}

mf_status mfi_plan_fail(mfi_plan *plan, mf_status st, const char *what)
{
    if (plan->status == MF_OK && st != MF_OK)
        plan->status = mf_fail(&plan->error, st, "%s", what);
    return plan->status;
}

/* Room for that many elements in a list, or a failed plan. */
static bool has_room(mfi_plan *plan, void **list, size_t count, size_t *capacity, size_t size)
{
    if (plan->status != MF_OK)
        return false;
    if (mfi_array_reserve(plan->allocator, list, capacity, count, size))
        return true;
    mfi_plan_fail(plan, MF_E_NOMEM, "flow: no memory for the effects of a step");
    return false;
}

#define HAS_ROOM_FOR(plan, n, list, counter, limit)                                                                    \
    has_room((plan), (void **)&(plan)->list, (plan)->counter + (n), &(plan)->limit, sizeof *(plan)->list)
#define HAS_ROOM(plan, list, counter, limit) HAS_ROOM_FOR(plan, 1, list, counter, limit)

bool mfi_plan_reserve_entries(mfi_plan *plan, size_t n)
{
    return HAS_ROOM_FOR(plan, n, entries, entry_count, entry_capacity);
}

bool mfi_plan_reserve_outcomes(mfi_plan *plan, size_t n)
{
    return HAS_ROOM_FOR(plan, n, outcomes, outcome_count, outcome_capacity) &&
           HAS_ROOM_FOR(plan, n, settles, settle_count, settle_capacity);
}

void mfi_plan_entry(mfi_plan *plan, const mf_spec *spec, const mf_unit *unit, uint32_t attempt, mf_message *message)
{
    if (!HAS_ROOM(plan, entries, entry_count, entry_capacity)) {
        mf_message_unref(message);
        return;
    }
    plan->entries[plan->entry_count] = (mf_entry){.spec = (mf_spec *)(uintptr_t)spec, .unit = *unit, .attempt = attempt,
                                                  .message = message, .priority = plan->priority};
    if (is_first_of_run(plan, plan->entry_count++))
        mf_spec_ref(spec);
}

void mfi_plan_outcome(mfi_plan *plan, uint64_t index, mf_signature_status status, const mf_message *value)
{
    if (!HAS_ROOM(plan, outcomes, outcome_count, outcome_capacity))
        return;
    plan->outcomes[plan->outcome_count++] =
        (mf_outcome){.index = index, .status = status, .value = (mf_message *)(uintptr_t)value};
}

void mfi_plan_settle(mfi_plan *plan, uint64_t token)
{
    if (token == 0 || !HAS_ROOM(plan, settles, settle_count, settle_capacity))
        return;
    plan->settles[plan->settle_count++] = token;
}

void mfi_plan_start(mfi_plan *plan, const mfi_start *start)
{
    if (!HAS_ROOM(plan, starts, start_count, start_capacity))
        return;
    mf_message_ref(start->message);
    mf_message_ref(start->inherited);
    mf_message_ref(start->error);
    plan->starts[plan->start_count++] = *start;
}

void mfi_plan_removal(mfi_plan *plan, const mf_key *key, bool on_success, bool on_error)
{
    if (HAS_ROOM(plan, removals, removal_count, removal_capacity))
        plan->removals[plan->removal_count++] = (mf_removal){.key = *key, .on_success = on_success, .on_error = on_error};
}

void mfi_plan_items(mfi_plan *plan, uint64_t from, const mf_item *items, size_t n)
{
    if (!HAS_ROOM_FOR(plan, n, items, item_count, item_capacity))
        return;
    if (plan->item_count == 0)
        plan->items_from = from;
    memcpy(plan->items + plan->item_count, items, n * sizeof *items);
    plan->item_count += n;
}

void mfi_plan_note(mfi_plan *plan, const mf_note *note)
{
    if (HAS_ROOM(plan, notes, note_count, note_capacity))
        plan->notes[plan->note_count++] = *note;
}

void mfi_plan_own_note(mfi_plan *plan, const mf_note *note)
{
    struct mfi_own_note *own = plan->status == MF_OK ? mf_new(plan->allocator, struct mfi_own_note) : NULL;
    char *name = own != NULL ? mfi_copy_text(plan->allocator, note->name) : NULL;
    if (name == NULL) {
        mf_delete(plan->allocator, own);
        mfi_plan_fail(plan, MF_E_NOMEM, "flow: no memory for a note");
        return;
    }
    *own = (struct mfi_own_note){.next = plan->own, .value = mf_message_ref(note->value), .name = name, .len = note->name.len};
    plan->own = own;
    mf_note held = *note;
    held.name = mf_str_of(name, note->name.len);
    mfi_plan_note(plan, &held);
}

void mfi_plan_put_off(mfi_plan *plan, size_t entry, size_t note, int64_t late_ms)
{
    for (; entry < plan->entry_count; entry++) {
        int64_t due_ms = plan->entries[entry].due_ms;
        plan->entries[entry].due_ms = (due_ms > 0 ? due_ms : plan->now_ms) + late_ms;
    }
    for (; note < plan->note_count; note++)
        if (plan->notes[note].expires_ms > 0)
            plan->notes[note].expires_ms += late_ms;
}

/* splitmix64: enough for spreading starts, and a seed replays it. */
uint64_t mfi_plan_random(mfi_plan *plan, uint64_t n)
{
    uint64_t z = plan->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}
