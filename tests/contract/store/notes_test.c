/* Notes: small values by name, in the order of their names, which come and go with a batch. */
#include "contract.h"

#define ONE MF_STR_LIT("one")
#define TWO MF_STR_LIT("two")

static void set_note(fixture *f, mf_str space, mf_str name, unsigned n)
{
    mf_note note = {.space = space, .name = name, .value = say(f, n)};
    must_commit(f, &(mf_batch){.notes = &note, .note_count = 1});
    mf_message_unref(note.value);
}

static void drop_note(fixture *f, mf_str space, mf_str name)
{
    must_commit(f, &(mf_batch){.notes = &(mf_note){.space = space, .name = name}, .note_count = 1});
}

/* What it says; ~0u: there is none. */
static unsigned read_note(fixture *f, mf_str space, mf_str name)
{
    mf_message *value = NULL;
    mf_status st = mf_store_read_note(f->store, space, name, &value, NULL);
    if (st == MF_E_NOT_FOUND)
        return ~0u;
    is_status(st, MF_OK);
    unsigned n = said(value);
    mf_message_unref(value);
    return n;
}

/* The page has these names, each saying its place in `names`. */
static void is_page(fixture *f, mf_str space, const char *after, size_t max, const char *const *names, size_t n)
{
    mf_note notes[16];
    size_t got = 99;
    is_status(mf_store_notes(f->store, space, mf_cstr(after), max, notes, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, n));
    for (size_t i = 0; i < got; i++) {
        cr_assert(eq(str, (char *)notes[i].name.at, (char *)names[i]));
        cr_assert(notes[i].space.len == space.len && memcmp(notes[i].space.at, space.at, space.len) == 0);
        cr_assert(ne(ptr, notes[i].value, NULL));
        mf_note_release(f->store, &notes[i]);
    }
}

STORE_TEST(store_notes, a_note_is_read_as_it_was_set_last_and_gone_when_taken_away)
{
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("a")), ~0u));
    set_note(f, ONE, MF_STR_LIT("a"), 1);
    set_note(f, TWO, MF_STR_LIT("a"), 2);
    set_note(f, ONE, MF_STR_LIT("b"), 3);
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("a")), 1));
    cr_assert(eq(uint, read_note(f, TWO, MF_STR_LIT("a")), 2));
    set_note(f, ONE, MF_STR_LIT("a"), 4);
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("a")), 4));
    drop_note(f, ONE, MF_STR_LIT("a"));
    drop_note(f, ONE, MF_STR_LIT("a"));    /* there is none: nothing happens */
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("a")), ~0u));
    cr_assert(eq(uint, read_note(f, TWO, MF_STR_LIT("a")), 2));
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("b")), 3));
}

STORE_TEST(store_notes, a_space_is_listed_by_pages_in_the_order_of_bytes)
{
    static const char *const names[] = {"A", "Z", "a", "a!", "aa", "ab", "b", "\x7f", "\x80", "\xff\xff"};
    static const size_t order[] = {6, 0, 9, 3, 8, 5, 1, 7, 2, 4};
    enum { N = sizeof names / sizeof names[0] };
    for (size_t i = 0; i < N; i++)
        set_note(f, ONE, mf_cstr(names[order[i]]), (unsigned)i);
    set_note(f, MF_STR_LIT("on"), MF_STR_LIT("eA"), 50);    /* neighbours, also when texts are put together */
    set_note(f, MF_STR_LIT("onea"), MF_STR_LIT("x"), 51);
    set_note(f, TWO, MF_STR_LIT("x"), 52);
    is_page(f, ONE, "", 16, names, N);
    is_page(f, ONE, "", 3, names, 3);
    is_page(f, ONE, "a", 3, names + 3, 3);
    is_page(f, ONE, "a ", 2, names + 3, 2);    /* a name that is not there */
    is_page(f, ONE, "\x80", 16, names + 9, 1);
    is_page(f, ONE, "\xff\xff", 16, NULL, 0);
    is_page(f, ONE, "", 0, NULL, 0);
    is_page(f, MF_STR_LIT("nothing"), "", 16, NULL, 0);
    drop_note(f, ONE, MF_STR_LIT("a!"));
    is_page(f, ONE, "a!", 2, names + 4, 2);
}

STORE_TEST(store_notes, texts_are_bytes_up_to_255_of_them)
{
    char longest[256];
    memset(longest, 'x', sizeof longest);
    mf_str full = mf_str_of(longest, 255), zero = mf_str_of("\0a\0", 3);
    set_note(f, full, full, 1);
    set_note(f, ONE, zero, 2);
    cr_assert(eq(uint, read_note(f, full, full), 1));
    cr_assert(eq(uint, read_note(f, ONE, zero), 2));
    cr_assert(eq(uint, read_note(f, ONE, mf_str_of("\0a", 2)), ~0u));
    mf_message *value = say(f, 1);
    const mf_note bad[] = {
        {.space = mf_str_of(longest, 256), .name = ONE, .value = value},
        {.space = ONE, .name = mf_str_of(longest, 256), .value = value},
        {.space = mf_str_of("", 0), .name = ONE, .value = value},
        {.space = ONE, .name = mf_str_of(NULL, 0)},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(eq(int, mf_store_commit(f->store, &(mf_batch){.notes = &bad[i], .note_count = 1}, NULL, NULL), MF_E_INVALID),
                  "note %zu", i);
    mf_message_unref(value);
}

STORE_TEST(store_notes, a_batch_sets_them_in_order)
{
    mf_message *values[] = {say(f, 0), say(f, 1), say(f, 2)};
    mf_note notes[] = {
        {.space = ONE, .name = MF_STR_LIT("a"), .value = values[0]}, {.space = ONE, .name = MF_STR_LIT("b"), .value = values[1]},
        {.space = ONE, .name = MF_STR_LIT("a"), .value = values[2]}, {.space = ONE, .name = MF_STR_LIT("b")},
    };
    must_commit(f, &(mf_batch){.notes = notes, .note_count = 4});
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("a")), 2));
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("b")), ~0u));
    for (size_t i = 0; i < 3; i++)
        mf_message_unref(values[i]);
}

STORE_TEST(store_notes, a_fresh_one_is_refused_where_there_is_one)
{
    mf_message *value = say(f, 9);
    mf_note notes[] = {
        {.space = TWO, .name = MF_STR_LIT("a"), .value = value, .fresh = true},
        {.space = ONE, .name = MF_STR_LIT("a"), .value = value, .fresh = true},
    };
    set_note(f, ONE, MF_STR_LIT("a"), 1);
    must_refuse(f, &(mf_batch){.notes = notes, .note_count = 2}, MF_GUARD_NOTE, 1);
    cr_assert(eq(uint, read_note(f, TWO, MF_STR_LIT("a")), ~0u));
    mf_note twice[] = {notes[0], notes[0]};
    must_refuse(f, &(mf_batch){.notes = twice, .note_count = 2}, MF_GUARD_NOTE, 1);
    must_commit(f, &(mf_batch){.notes = notes, .note_count = 1});
    must_refuse(f, &(mf_batch){.notes = notes, .note_count = 1}, MF_GUARD_NOTE, 0);
    mf_note anew[] = {{.space = ONE, .name = MF_STR_LIT("a")}, notes[1]};    /* the one that is there goes first */
    must_commit(f, &(mf_batch){.notes = anew, .note_count = 2});
    cr_assert(eq(uint, read_note(f, ONE, MF_STR_LIT("a")), 9));
    mf_message_unref(value);
}

STORE_TEST(store_notes, an_expired_one_is_not_there)
{
    static const char *const left[] = {"a", "c"};
    int64_t until = mf_store_now_ms(f->store) + SOON;
    mf_note note = {.space = ONE, .name = MF_STR_LIT("b"), .value = say(f, 2), .expires_ms = until};
    set_note(f, ONE, MF_STR_LIT("a"), 1);
    must_commit(f, &(mf_batch){.notes = &note, .note_count = 1});
    set_note(f, ONE, MF_STR_LIT("c"), 3);
    cr_assert(eq(uint, read_note(f, ONE, note.name), 2));
    mf_note read[3];
    size_t got;
    is_status(mf_store_notes(f->store, ONE, MF_STR_LIT("a"), 1, read, &got, NULL), MF_OK);
    cr_assert(eq(sz, got, 1));
    cr_assert(eq(i64, read[0].expires_ms, until));
    mf_note_release(f->store, &read[0]);
    turn_clock(f, LATER);
    cr_assert(eq(uint, read_note(f, ONE, note.name), ~0u));
    is_page(f, ONE, "", 16, left, 2);
    note.fresh = true;
    note.expires_ms = 0;
    must_commit(f, &(mf_batch){.notes = &note, .note_count = 1});
    turn_clock(f, LATER);
    cr_assert(eq(uint, read_note(f, ONE, note.name), 2));
    mf_message_unref(note.value);
}

STORE_TEST(store_notes, setting_one_again_changes_when_it_expires)
{
    mf_note note = {.space = ONE, .name = MF_STR_LIT("b"), .value = say(f, 2), .expires_ms = mf_store_now_ms(f->store) + SOON};
    must_commit(f, &(mf_batch){.notes = &note, .note_count = 1});
    note.expires_ms += 60000;
    must_commit(f, &(mf_batch){.notes = &note, .note_count = 1});
    turn_clock(f, LATER);
    cr_assert(eq(uint, read_note(f, ONE, note.name), 2));
    mf_message_unref(note.value);
}

/* Against a plain table: many names come, change and go; then all are listed by pages of seven. */
STORE_TEST(store_notes, many_are_kept_as_in_a_plain_table)
{
    enum { NAMES = 400, STEPS = 4000, PAGE = 7 };
    static unsigned table[NAMES];
    uint64_t random = 3;
    char name[16];
    memset(table, 0xff, sizeof table);
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(random >> 33) % NAMES;
        snprintf(name, sizeof name, "%03u", i);
        if (random >> 62 == 0) {
            drop_note(f, ONE, mf_cstr(name));
            table[i] = ~0u;
        } else {
            set_note(f, ONE, mf_cstr(name), step);
            table[i] = step;
        }
    }
    unsigned next = 0;
    size_t got;
    mf_note page[PAGE];
    name[0] = '\0';
    do {
        is_status(mf_store_notes(f->store, ONE, mf_cstr(name), PAGE, page, &got, NULL), MF_OK);
        for (size_t i = 0; i < got; i++) {
            while (next < NAMES && table[next] == ~0u)
                next++;
            snprintf(name, sizeof name, "%03u", next);
            cr_assert(eq(str, (char *)page[i].name.at, name));
            cr_assert(eq(uint, said(page[i].value), table[next++]));
            mf_note_release(f->store, &page[i]);
        }
    } while (got > 0);
    while (next < NAMES && table[next] == ~0u)
        next++;
    cr_assert(eq(uint, next, NAMES), "a note is missing");
}
