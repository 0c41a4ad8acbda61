/* main.c: find files of equal content below a directory. See README.md for how it works. */
#include "duplicates_tasks.h"
#include "search.h"
#include "screen.h"
#include "show.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FLOW_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

struct options {
    const char         *directory;
    const char         *url;
    const char         *store;
    unsigned            threads;
    unsigned            max_concurrency;
    uint64_t            stop_after_failures;
    struct show_options show;
};

static const char help[] =
    "Usage: duplicates [OPTION...] [DIR]\n"
    "Find files of equal content below DIR (default: the current directory). Symbolic links are not followed; each hard\n"
    "link counts as a file. What cannot be read is named on standard error and counted, and the rest goes on.\n"
    "\n"
    "  -c, --max-concurrency N      files hashed at once (default 30)\n"
    "  -s, --stop-after-failures N  give up when N files could not be read (default: never)\n"
    "  -t, --threads N              worker threads (default: one per CPU)\n"
    "  -u, --url URL                where the tasks run (default: MAGEFLOW_URL, or this process)\n"
    "  -S, --store sqlite:FILE      keep the search in FILE: started again with the same options after a crash or a kill, it\n"
    "                               goes on where it was, in this process\n"
    "  -a, --all                    show every group, not just the ten that waste most\n"
    "  -j, --json                   a line of JSON per group, and as the last line one object: files, bytes, failed,\n"
    "                               duplicate_groups, duplicate_files, wasted_bytes, seconds\n"
    "  -h, --help                   this text\n"
    "\n"
    "In names \\n, \\t, \\r and \\xHH stand for bytes that cannot be shown, \\\\ for a backslash.\n"
    "Exit codes: 0 done, 1 the search failed, 2 wrong usage, 130 Ctrl-C.\n";

static void complain(const char *text)
{
    char line[1024];
    snprintf(line, sizeof line, "duplicates: %s", text);
    screen_say(line);
}

/* ---- options ----------------------------------------------------------------------------------------------------------- */

static bool read_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && n >= least && n <= most) {
        *out = n;
        return true;
    }
    fprintf(stderr, "duplicates: --%s: expected a number from %llu to %llu, got \"%s\"\n", option, (unsigned long long)least,
            (unsigned long long)most, text);
    return false;
}

static bool read_unsigned(const char *option, const char *text, uint64_t most, unsigned *out)
{
    uint64_t n;
    if (!read_number(option, text, 1, most, &n))
        return false;
    *out = (unsigned)n;
    return true;
}

/* EXIT_DONE: go on. Negative: help was printed. */
static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option rows[] = {
        {"max-concurrency", required_argument, NULL, 'c'}, {"stop-after-failures", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},         {"url", required_argument, NULL, 'u'},
        {"store", required_argument, NULL, 'S'},
        {"all", no_argument, NULL, 'a'},                   {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},                  {NULL, 0, NULL, 0},
    };
    bool good = true;
    for (int c; good && (c = getopt_long(argc, argv, "c:s:t:u:S:ajh", rows, NULL)) != -1;) {
        switch (c) {
        case 'c': good = read_unsigned("max-concurrency", optarg, 65536, &o->max_concurrency); break;
        case 's': good = read_number("stop-after-failures", optarg, 1, INT64_MAX, &o->stop_after_failures); break;
        case 't': good = read_unsigned("threads", optarg, 1024, &o->threads); break;
        case 'u': o->url = optarg; break;
        case 'S': o->store = optarg; break;
        case 'a': o->show.all = true; break;
        case 'j': o->show.json = true; break;
        case 'h': fputs(help, stdout); return -1;
        default: fputs("see duplicates --help\n", stderr); good = false;
        }
    }
    if (good && argc - optind > 1) {
        fprintf(stderr, "duplicates: expected one directory, got %d: see duplicates --help\n", argc - optind);
        good = false;
    }
    if (good && o->store != NULL && (strncmp(o->store, "sqlite:", 7) != 0 || o->store[7] == '\0')) {
        fprintf(stderr, "duplicates: --store: expected sqlite:FILE, got \"%s\"\n", o->store);
        good = false;
    }
    if (good && optind < argc)
        o->directory = argv[optind];
    return good ? EXIT_DONE : EXIT_USAGE;
}

/* ---- what a search needs ------------------------------------------------------------------------------------------------ */

/* The absolute path of a directory that can be read, to be freed. NULL: said why not. */
static char *absolute(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *path = fd < 0 ? NULL : realpath(directory, NULL);
    if (path == NULL)
        fprintf(stderr, "duplicates: %s: %s\n", directory, strerror(errno));
    if (fd >= 0)
        close(fd);
    return path;
}

/* An empty file for the list, to be freed and removed. NULL: said why not. */
static char *make_spool(void)
{
    const char *directory = getenv("TMPDIR");
    char *path = NULL, *real = realpath(directory != NULL && directory[0] != '\0' ? directory : "/tmp", NULL);
    if (real == NULL || asprintf(&path, "%s/duplicates-XXXXXX", real) < 0)
        path = NULL;
    free(real);
    int fd = path == NULL ? -1 : mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "duplicates: no file for the list of files in %s: %s; set TMPDIR to a directory that can be written\n",
                directory != NULL ? directory : "/tmp", strerror(errno));
        free(path);
        return NULL;
    }
    close(fd);
    return path;
}

/* ---- a search that outlives the program --------------------------------------------------------------------------------- */

/* What makes two searches the same one, in 16 digits. */
static uint64_t mark_of(const char *root, uint64_t stop_after_failures)
{
    uint64_t mark = UINT64_C(0xcbf29ce484222325) ^ stop_after_failures;
    for (; *root != '\0'; root++)
        mark = (mark ^ (unsigned char)*root) * UINT64_C(0x100000001b3);
    return mark;
}

/* The list beside the store, which the next program finds again. To be freed. NULL: said why not. */
static char *keep_spool(const char *file, uint64_t mark)
{
    char *path = NULL;
    int fd = asprintf(&path, "%s-%016llx.list", file, (unsigned long long)mark) < 0 ? -1
           : open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    char *real = fd < 0 ? NULL : realpath(path, NULL);
    if (real == NULL)
        fprintf(stderr, "duplicates: no file for the list of files beside %s: %s\n", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(path);
    return real;
}

/* "local:" with FILE as its store, escaped. To be freed. */
static char *store_url(const char *file)
{
    static const char head[] = "local:?store=sqlite:", digits[] = "0123456789ABCDEF";
    char *url = malloc(sizeof head + 3 * strlen(file)), *at = url;
    if (url == NULL)
        return NULL;
    memcpy(at, head, sizeof head - 1);
    at += sizeof head - 1;
    for (; *file != '\0'; file++) {
        unsigned char c = (unsigned char)*file;
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("/._-", c) != NULL) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    *at = '\0';
    return url;
}

static void print_library_log(void *user, mf_log_level level, mf_str line)
{
    char text[512];
    (void)user;
    if (level < MF_LOG_WARN)
        return;
    snprintf(text, sizeof text, "%.*s", (int)line.len, line.at);
    complain(text);
}

static int64_t now_ns(void)
{
    const mf_clock *clock = mf_clock_default();
    return clock->monotonic_ns(clock->user);
}

/* ---- the search ---------------------------------------------------------------------------------------------------------- */

static int told(mf_status st, const mf_error *err, int code)
{
    if (st == MF_OK)
        return EXIT_DONE;
    complain(err->text);
    return st == MF_E_CANCELED && search_signal() != 0 ? EXIT_SIGNAL + search_signal() : code;
}

static int search_with(mf_client *client, const struct options *o, const struct search *search)
{
    mf_error err;
    struct groups_summary found;
    struct show_options show = o->show;
    mf_key key = {{0}};
    int64_t started = now_ns();
    int code = told(search_run(client, search, &key, &found, &err), &err, EXIT_FLOW_FAILED);
    if (code == EXIT_DONE) {
        show.seconds = (double)(now_ns() - started) / 1e9;
        code = told(show_found(search->spool, &found, &show, &err), &err, EXIT_FLOW_FAILED);
    }
    if (search->name != NULL && mf_key_is_set(&key)) {    /* shown, failed or canceled: nobody goes on with it */
        search_forget(client, &key);
        unlink(search->spool);
    }
    return code;
}

static int open_and_search(const struct options *o, const struct search *search)
{
    mf_error err;
    mf_client *client;
    mf_options options = {.struct_size = sizeof options, .log = print_library_log, .threads = o->threads};
    int code = told(mf_open(o->url, &options, &client, &err), &err, EXIT_USAGE);
    if (code != EXIT_DONE)
        return code;
    code = told(duplicates_register(client, screen_say, &err), &err, EXIT_FLOW_FAILED);
    if (code == EXIT_DONE)
        code = search_with(client, o, search);
    mf_client_destroy(client);
    return code;
}

/* With the list in a file of its own, or in one that is found again. */
static int search_in(struct options *o, const char *root)
{
    char mark[32], *url = NULL;
    struct search search = {.directory = o->directory, .root = root, .max_concurrency = o->max_concurrency,
                            .stop_after_failures = o->stop_after_failures};
    char *spool;
    if (o->store != NULL) {
        const char *file = o->store + strlen("sqlite:");
        uint64_t number = mark_of(root, o->stop_after_failures);
        snprintf(mark, sizeof mark, "duplicates %016llx", (unsigned long long)number);
        search.name = mark;
        o->url = url = store_url(file);
        spool = url == NULL ? NULL : keep_spool(file, number);
    } else {
        spool = make_spool();
    }
    if (spool == NULL) {
        free(url);
        return EXIT_USAGE;
    }
    search.spool = spool;
    int code = open_and_search(o, &search);
    if (search.name == NULL)
        unlink(spool);
    free(spool);
    free(url);
    return code;
}

int main(int argc, char **argv)
{
    struct options o = {.directory = ".", .url = getenv("MAGEFLOW_URL"), .max_concurrency = 30};
    int code = read_options(argc, argv, &o);
    if (code != EXIT_DONE)
        return code < 0 ? EXIT_DONE : code;
    screen_init();
    char *root = absolute(o.directory);
    if (root == NULL)
        return EXIT_USAGE;

    mf_error err;
    code = told(search_catch_signals(&err), &err, EXIT_FLOW_FAILED);      /* before there is something to clean up */
    if (code == EXIT_DONE)
        code = search_in(&o, root);
    free(root);
    return code;
}
