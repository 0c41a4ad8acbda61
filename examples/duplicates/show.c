/* show.c: the groups are read from the spool one by one, and a name when it is printed. */
#include "show.h"

#include "names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN_GROUPS 10
#define SHOWN_NAMES  10

struct show {
    struct spool              *spool;
    const struct show_options *options;
    struct spool_text          name;
};

/* "1.5 MiB" */
static const char *amount(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double number = (double)bytes;
    size_t unit = 0;
    for (; number >= 1024 && unit < sizeof units / sizeof units[0] - 1; unit++)
        number /= 1024;
    snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", number, bytes == 1 ? "byte" : units[unit]);
    return text;
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static mf_status member_shown(struct show *s, const struct group *group, uint32_t i, char **out, mf_error *err)
{
    struct spool_record record;
    mf_status st = groups_member(s->spool->fd, group, i, &record, &s->name, err);
    if (st != MF_OK)
        return st;
    *out = name_shown(s->spool->shown, record.name);
    return *out == NULL ? mf_fail(err, MF_E_NOMEM, "no memory for a name") : MF_OK;
}

/* ---- for a person ------------------------------------------------------------------------------------------------------ */

static mf_status print_group(struct show *s, const struct group *group, mf_error *err)
{
    char each[32], waste[32];
    printf("%" PRIu32 " files of %s, %s wasted:\n", group->count, amount(group->size, each),
           amount(group->size * (group->count - 1), waste));
    for (uint32_t i = 0; i < group->count; i++) {
        char *shown;
        if (i == SHOWN_NAMES && !s->options->all) {
            printf("  and %" PRIu32 " more\n", group->count - i);
            break;
        }
        mf_status st = member_shown(s, group, i, &shown, err);
        if (st != MF_OK)
            return st;
        printf("  %s\n", shown);
        free(shown);
    }
    putchar('\n');
    return MF_OK;
}

static void print_summary(const struct groups_summary *found, double seconds, bool cut)
{
    char bytes[32], waste[32];
    if (cut)
        printf("%" PRIu64 " more group%s; --all shows them\n\n", found->groups - SHOWN_GROUPS, plural(found->groups - SHOWN_GROUPS));
    printf("%" PRIu64 " file%s, %s, read in %.1f s: ", found->files, plural(found->files), amount(found->bytes, bytes), seconds);
    if (found->groups == 0)
        printf("no duplicates");
    else
        printf("%" PRIu64 " duplicate%s in %" PRIu64 " group%s waste %s", found->duplicates, plural(found->duplicates),
               found->groups, plural(found->groups), amount(found->wasted, waste));
    if (found->failed > 0)
        printf("; %" PRIu64 " could not be read", found->failed);
    putchar('\n');
}

/* ---- for a program ----------------------------------------------------------------------------------------------------- */

static mf_status print_json(mf_message *object, mf_error *err)
{
    char *text;
    size_t len;
    mf_status st = mf_message_to_json(object, NULL, &text, &len, err);
    mf_message_unref(object);
    if (st != MF_OK)
        return st;
    puts(text);
    mf_json_free(NULL, text, len);
    return MF_OK;
}

static mf_status print_json_text(const char *text, mf_error *err)
{
    char *json;
    size_t len;
    mf_message *message = mf_msg("s", text);
    mf_status st = mf_message_to_json(message, NULL, &json, &len, err);
    mf_message_unref(message);
    if (st != MF_OK)
        return st;
    fputs(json, stdout);
    mf_json_free(NULL, json, len);
    return MF_OK;
}

/* A group may have more members than one message, so its line is written name by name. */
static mf_status print_json_group(struct show *s, const struct group *group, mf_error *err)
{
    printf("{\"size\":%" PRIu64 ",\"sha256\":\"", group->size);
    for (size_t i = 0; i < GROUPS_HASH_SIZE; i++)
        printf("%02x", group->hash[i]);
    printf("\",\"paths\":[");
    for (uint32_t i = 0; i < group->count; i++) {
        char *shown;
        mf_status st = member_shown(s, group, i, &shown, err);
        if (st != MF_OK)
            return st;
        if (i > 0)
            putchar(',');
        st = print_json_text(shown, err);
        free(shown);
        if (st != MF_OK)
            return st;
    }
    puts("]}");
    return MF_OK;
}

static mf_status print_json_summary(const struct groups_summary *f, double seconds, mf_error *err)
{
    return print_json(mf_msg("{s:U, s:U, s:U, s:U, s:U, s:U, s:f}", "files", f->files, "bytes", f->bytes, "failed", f->failed,
                             "duplicate_groups", f->groups, "duplicate_files", f->duplicates, "wasted_bytes", f->wasted,
                             "seconds", seconds), err);
}

/* ---- both -------------------------------------------------------------------------------------------------------------- */

static mf_status show_groups(struct show *s, const struct groups_summary *found, uint64_t n, mf_error *err)
{
    mf_status st = MF_OK;
    uint64_t at = found->at;
    for (uint64_t i = 0; st == MF_OK && i < n; i++) {
        struct group group;
        st = groups_read(s->spool->fd, at, &group, err);
        if (st == MF_OK)
            st = s->options->json ? print_json_group(s, &group, err) : print_group(s, &group, err);
        at = group.next;
    }
    return st;
}

mf_status show_found(const char *spool, const struct groups_summary *found, const struct show_options *options, mf_error *err)
{
    bool cut = !options->all && found->groups > SHOWN_GROUPS;
    struct show s = {.options = options};
    mf_status st = spool_open(mf_cstr(spool), &s.spool, err);
    if (st != MF_OK)
        return st;
    st = show_groups(&s, found, cut ? SHOWN_GROUPS : found->groups, err);
    if (st == MF_OK && options->json)
        st = print_json_summary(found, options->seconds, err);
    else if (st == MF_OK)
        print_summary(found, options->seconds, cut);
    if (st == MF_OK && fflush(stdout) != 0)
        st = mf_fail(err, MF_E_IO, "standard output cannot be written");
    spool_text_fini(&s.name);
    spool_close(s.spool);
    return st;
}
