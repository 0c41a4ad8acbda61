/* The one file that names every task manager and every store, and the only place that asks which one it is.
 *
 * Two tables of makers: a hole means "not built in". One table of URL schemes and parameters: the parser, --help and the
 * error for an unknown one are all made from it. */
#include <mageflow/client.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "local_adapter.h"
#ifdef MFI_WITH_SQLITE
#include "sqlite_create.h"
#endif
#include "url.h"
#ifdef MFI_WITH_REDIS
#include "redis_store.h"
#endif
#ifdef MFI_WITH_TASKIQ
#include "taskiq_adapter.h"
#endif
#ifdef MFI_WITH_HATCHET
#include "hatchet_adapter.h"
#endif

typedef enum mfi_manager { MFI_MANAGER_LOCAL, MFI_MANAGER_TASKIQ, MFI_MANAGER_CELERY, MFI_MANAGER_HATCHET, MFI_MANAGERS } mfi_manager;

/* How a manager is made from a URL. Only create is required; state is what begin made, and create consumes it. */
typedef struct maker {
    const char *name;
    mf_status (*begin)(const mfi_url *url, const mf_options *options, void **state, mf_error *err);
    mf_status (*set)(void *state, const char *name, const char *value, mf_error *err);     /* MF_E_NOT_FOUND: none of its own */
    const char *(*parameter)(size_t n, const char **help);                                /* those of set; NULL past the last */
    /* Where flows are kept when nobody says; before create. NULL: in memory. */
    mf_status (*store)(void *state, const mf_options *options, mf_store **out, mf_error *err);
    mf_status (*create)(void *state, const mf_options *options, mf_adapter **out, mf_error *err);
    /* What .store made and what .create made, together. NULL: they need not know of each other. */
    void (*join)(mf_adapter *adapter, mf_store *store);
    void (*abandon)(void *state);
} maker;

static mf_status local_create(void *state, const mf_options *options, mf_adapter **out, mf_error *err)
{
    (void)state;
    return mfi_local_create(options->allocator, out, err);
}

#ifdef MFI_WITH_TASKIQ
static void taskiq_abandon(void *state)
{
    mfi_taskiq_options *o = state;
    if (o == NULL)
        return;
    mfi_redis_address_wipe(&o->address);
    mfi_redis_address_wipe(&o->results);
    free(o);
}

static mf_status taskiq_begin(const mfi_url *url, const mf_options *options, void **state, mf_error *err)
{
    mfi_taskiq_options *o = malloc(sizeof *o);
    if (o == NULL)
        return mf_fail(err, MF_E_NOMEM, "url: no memory");
    mfi_taskiq_options_init(o);
    o->allocator = options->allocator;
    o->clock = options->clock;
    o->log = options->log;
    o->log_user = options->log_user;
    o->limits = options->limits;
    *state = o;
    mf_str transport = url->scheme;
    const char *plus = memchr(transport.at, '+', transport.len);
    transport = mf_str_of(plus + 1, (size_t)(transport.at + transport.len - plus - 1));
    return mfi_redis_address_parse(transport, url->rest, &o->address, err);
}

static mf_status taskiq_set(void *state, const char *name, const char *value, mf_error *err)
{
    mfi_taskiq_options *o = state;
    mf_status st = mfi_taskiq_options_set(o, name, value, err);
    return st != MF_E_NOT_FOUND ? st : mfi_redis_address_set(&o->address, name, value, err);
}

/* Its own, then those of the way to the server. */
static const char *taskiq_parameter(size_t n, const char **help)
{
    size_t own = 0;
    while (mfi_taskiq_parameter(own, help) != NULL)
        own++;
    return n < own ? mfi_taskiq_parameter(n, help) : mfi_redis_address_parameter(n - own, help);
}

static mf_status taskiq_store(void *state, const mf_options *options, mf_store **out, mf_error *err)
{
    const mfi_taskiq_options *o = state;
    mf_status st = mfi_redis_address_check(&o->address, err);
    if (st != MF_OK)
        return st;
    return mfi_redis_store_create(&(mfi_redis_store_options){.allocator = options->allocator, .clock = options->clock,
                                                             .log = options->log, .log_user = options->log_user,
                                                             .address = &o->address, .lease_ms = o->lease / 1000000}, out, err);
}

static mf_status taskiq_create(void *state, const mf_options *options, mf_adapter **out, mf_error *err)
{
    mfi_taskiq_options *o = state;
    (void)options;
    mf_status st = mfi_redis_address_check(&o->address, err);
    if (st == MF_OK)
        st = mfi_taskiq_create(o, out, err);
    taskiq_abandon(o);
    return st;
}
#endif

#ifdef MFI_WITH_HATCHET
static void hatchet_abandon(void *state)
{
    if (state == NULL)
        return;
    mfi_hatchet_options_wipe(state);
    free(state);
}

static mf_status hatchet_begin(const mfi_url *url, const mf_options *options, void **state, mf_error *err)
{
    mfi_hatchet_options *o = malloc(sizeof *o);
    if (o == NULL)
        return mf_fail(err, MF_E_NOMEM, "url: no memory");
    *state = o;
    mf_status st = mfi_hatchet_options_init(o, err);
    o->allocator = options->allocator;
    o->clock = options->clock;
    o->log = options->log;
    o->log_user = options->log_user;
    o->limits = options->limits;
    return st == MF_OK ? mfi_hatchet_options_address(o, url->rest, err) : st;
}

static mf_status hatchet_set(void *state, const char *name, const char *value, mf_error *err)
{
    return mfi_hatchet_options_set(state, name, value, err);
}

static mf_status hatchet_create(void *state, const mf_options *options, mf_adapter **out, mf_error *err)
{
    (void)options;
    mf_status st = mfi_hatchet_options_finish(state, err);
    if (st == MF_OK)
        st = mfi_hatchet_create(state, out, err);
    hatchet_abandon(state);
    return st;
}
#endif

static const maker managers[MFI_MANAGERS] = {
    [MFI_MANAGER_LOCAL] = {"local threads", .create = local_create},
#ifdef MFI_WITH_TASKIQ
    [MFI_MANAGER_TASKIQ] = {"TaskIQ", taskiq_begin, taskiq_set, taskiq_parameter, taskiq_store, taskiq_create, mfi_taskiq_shares,
                            taskiq_abandon},
#else
    [MFI_MANAGER_TASKIQ] = {"TaskIQ", .create = NULL},
#endif
    [MFI_MANAGER_CELERY] = {"Celery", .create = NULL},
#ifdef MFI_WITH_HATCHET
    [MFI_MANAGER_HATCHET] = {"Hatchet", hatchet_begin, hatchet_set, mfi_hatchet_parameter, NULL, hatchet_create,
                             .abandon = hatchet_abandon},
#else
    [MFI_MANAGER_HATCHET] = {"Hatchet", .create = NULL},
#endif
};

typedef mf_status store_create_fn(const mf_options *options, const char *where, mf_store **out, mf_error *err);

static mf_status memory_create(const mf_options *options, const char *where, mf_store **out, mf_error *err)
{
    if (where[0] != '\0')
        return mf_fail(err, MF_E_INVALID, "url: store=memory takes nothing behind it");
    return mf_memory_store_create(options->allocator, options->clock, out, err);
}

#ifdef MFI_WITH_SQLITE
static mf_status sqlite_create(const mf_options *options, const char *where, mf_store **out, mf_error *err)
{
    if (where[0] == '\0')
        return mf_fail(err, MF_E_INVALID, "url: store=sqlite: expected a file behind it, sqlite:FILE");
    if (options->existing && access(where, F_OK) != 0)
        return mf_fail(err, MF_E_NOT_FOUND, "url: store=sqlite: %.200s: %s; expected the file of flows that are there already", where,
                       strerror(errno));
    return mfi_sqlite_store_create(where, options->allocator, options->clock, out, err);
}
#else
#define sqlite_create NULL
#endif

#ifdef MFI_WITH_REDIS
static mf_status redis_create(const char *transport, const mf_options *options, const char *where, mf_store **out, mf_error *err)
{
    mfi_redis_address address;
    char url[MFI_URL_MAX];
    int len = snprintf(url, sizeof url, "%s:%s", transport, where);
    mf_status st = len < (int)sizeof url ? mfi_redis_address_from_url(url, &address, err) :
                   mf_fail(err, MF_E_INVALID, "url: store=%s: too long", transport);
    if (st == MF_OK)
        st = mfi_redis_store_create(&(mfi_redis_store_options){.allocator = options->allocator, .clock = options->clock,
                                                               .log = options->log, .log_user = options->log_user,
                                                               .address = &address}, out, err);
    explicit_bzero(url, sizeof url);
    mfi_redis_address_wipe(&address);
    return st;
}

static mf_status redis_plain(const mf_options *options, const char *where, mf_store **out, mf_error *err)
{
    return redis_create("redis", options, where, out, err);
}

static mf_status redis_tls(const mf_options *options, const char *where, mf_store **out, mf_error *err)
{
    return redis_create("rediss", options, where, out, err);
}

static mf_status redis_unix(const mf_options *options, const char *where, mf_store **out, mf_error *err)
{
    return redis_create("unix", options, where, out, err);
}
#else
#define redis_plain NULL
#define redis_tls NULL
#define redis_unix NULL
#endif

static const struct {
    const char      *name, *form;
    store_create_fn *create;
} stores[] = {
    {"memory", "memory", memory_create},
    {"sqlite", "sqlite:FILE", sqlite_create},
    {"redis", "redis://HOST:PORT/DB", redis_plain},     /* a & between its parameters stands there as %26 */
    {"rediss", "rediss://HOST:PORT/DB", redis_tls},
    {"unix", "unix:///SOCKET", redis_unix},
};

/* ---- the table of URLs -------------------------------------------------------------------------------------------- */

typedef struct url_setting {
    const char *store;      /* as given, or NULL */
    unsigned    threads;
} url_setting;

typedef mf_status set_fn(url_setting *setting, const char *value, mf_error *err);

static mf_status set_threads(url_setting *setting, const char *value, mf_error *err)
{
    char *end;
    long n = strtol(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || n < 1 || n > 1024)
        return mf_fail(err, MF_E_INVALID, "url: parameter \"threads\": expected a number from 1 to 1024, got \"%.40s\"", value);
    setting->threads = (unsigned)n;
    return MF_OK;
}

static mf_status set_store(url_setting *setting, const char *value, mf_error *err)
{
    (void)err;
    setting->store = value;
    return MF_OK;
}

static const struct url_parameter {
    mfi_manager manager;
    const char *name, *help;
    set_fn     *set;
} parameters[] = {
    {MFI_MANAGER_LOCAL, "threads", "worker threads, 1 to 1024 (one per CPU)", set_threads},
    {MFI_MANAGER_LOCAL, "store", "where flows are kept: memory (the default), sqlite:FILE (a % in FILE as %25, a & as %26), or a "
                                 "redis: URL", set_store},
    {MFI_MANAGER_TASKIQ, "store", "where flows are kept: the same Redis (the default), another redis: URL, sqlite:FILE, memory", set_store},
    {MFI_MANAGER_TASKIQ, "threads", "worker threads, 1 to 1024 (one per CPU)", set_threads},
    {MFI_MANAGER_HATCHET, "store", "where flows are kept: memory (the default), sqlite:FILE, or a redis: URL", set_store},
    {MFI_MANAGER_HATCHET, "threads", "worker threads, 1 to 1024 (one per CPU)", set_threads},
};

static const struct url_scheme {
    const char *scheme;
    mfi_manager manager;
} schemes[] = {
    {"local", MFI_MANAGER_LOCAL},
    {"taskiq+redis", MFI_MANAGER_TASKIQ}, {"taskiq+rediss", MFI_MANAGER_TASKIQ}, {"taskiq+unix", MFI_MANAGER_TASKIQ},
    {"celery+redis", MFI_MANAGER_CELERY}, {"celery+rediss", MFI_MANAGER_CELERY}, {"celery+unix", MFI_MANAGER_CELERY},
    {"hatchet", MFI_MANAGER_HATCHET},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Text put together once, in a buffer that is large enough for the tables above. */
struct text {
    char   at[4096];
    size_t len;
};

static void add_text(struct text *t, const char *piece)
{
    size_t room = sizeof t->at - 1 - t->len, len = strlen(piece);
    len = len < room ? len : room;
    memcpy(t->at + t->len, piece, len);
    t->len += len;
    t->at[t->len] = '\0';
}

static void add_schemes(struct text *t, const char *separator)
{
    for (size_t i = 0; i < COUNT(schemes); i++) {
        add_text(t, i == 0 ? "" : separator);
        add_text(t, schemes[i].scheme);
        add_text(t, ":");
        if (managers[schemes[i].manager].create == NULL)
            add_text(t, " (not built in)");
    }
}

static const char *scheme_of(mfi_manager manager)
{
    size_t i = 0;
    while (schemes[i].manager != manager)
        i++;
    return schemes[i].scheme;
}

static struct text help;

static void make_help(void)
{
    add_text(&help, "schemes:\n  ");
    add_schemes(&help, "\n  ");
    add_text(&help, "\nparameters:\n");
    for (size_t i = 0; i < COUNT(parameters); i++) {
        char line[160];
        if (managers[parameters[i].manager].create == NULL)
            continue;
        snprintf(line, sizeof line, "  %s: ?%s=   %s\n", scheme_of(parameters[i].manager), parameters[i].name,
                 parameters[i].help);
        add_text(&help, line);
    }
    for (size_t m = 0; m < MFI_MANAGERS; m++) {
        const char *name, *text;
        for (size_t n = 0; managers[m].parameter != NULL && (name = managers[m].parameter(n, &text)) != NULL; n++) {
            char line[160];
            snprintf(line, sizeof line, "  %s: ?%s=   %s\n", scheme_of((mfi_manager)m), name, text);
            add_text(&help, line);
        }
    }
}

const char *mf_url_help(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_help);
    return help.at;
}

/* ---- from URL to client ------------------------------------------------------------------------------------------- */

static mf_status find_manager(const mfi_url *url, mfi_manager *out, mf_error *err)
{
    for (size_t i = 0; i < COUNT(schemes); i++) {
        if (!mf_str_eq(url->scheme, mf_cstr(schemes[i].scheme)))
            continue;
        *out = schemes[i].manager;
        if (managers[*out].create == NULL)
            return mf_fail(err, MF_E_UNSUPPORTED, "url: %s is not built in: this mageflow was built without %s",
                           schemes[i].scheme, managers[*out].name);
        return MF_OK;
    }
    struct text known = {.len = 0};
    add_schemes(&known, ", ");
    /* What is no scheme at all may be a secret: "password@host:6379". */
    bool plain = url->scheme.len < 40 && strspn(url->scheme.at, "abcdefghijklmnopqrstuvwxyz+") >= url->scheme.len;
    return mf_fail(err, MF_E_INVALID, "url: unknown scheme \"%.*s\"; expected one of %s",
                   plain ? (int)url->scheme.len : 3, plain ? url->scheme.at : "...", known.at);
}

static mf_status unknown_parameter(const mfi_url *url, mfi_manager manager, const char *got, mf_error *err)
{
    struct text known = {.len = 0};
    const char *name, *unused;
    for (size_t i = 0; i < COUNT(parameters); i++)
        if (parameters[i].manager == manager) {
            add_text(&known, known.len == 0 ? "" : ", ");
            add_text(&known, parameters[i].name);
        }
    for (size_t n = 0; managers[manager].parameter != NULL && (name = managers[manager].parameter(n, &unused)) != NULL; n++) {
        add_text(&known, known.len == 0 ? "" : ", ");
        add_text(&known, name);
    }
    return mf_fail(err, MF_E_INVALID, "url: unknown parameter \"%.40s\" of %.*s:; expected one of %s", got, (int)url->scheme.len,
                   url->scheme.at, known.at);
}

static mf_status find_parameters(const mfi_url *url, mfi_manager manager, void *state, url_setting *setting, mf_error *err)
{
    for (size_t p = 0; p < url->count; p++) {
        size_t i = 0;
        while (i < COUNT(parameters) &&
               (parameters[i].manager != manager || strcmp(parameters[i].name, url->parameters[p].name) != 0))
            i++;
        if (i < COUNT(parameters)) {
            mf_status st = parameters[i].set(setting, url->parameters[p].value, err);
            if (st != MF_OK)
                return st;
            continue;
        }
        mf_status st = managers[manager].set == NULL
                           ? MF_E_NOT_FOUND
                           : managers[manager].set(state, url->parameters[p].name, url->parameters[p].value, err);
        if (st == MF_E_NOT_FOUND)
            return unknown_parameter(url, manager, url->parameters[p].name, err);
        if (st != MF_OK)
            return st;
    }
    return MF_OK;
}

static mf_status make_store(const char *named, const mf_options *options, mf_store **out, mf_error *err)
{
    const char *name = named != NULL ? named : "memory";
    const char *colon = strchr(name, ':');
    size_t len = colon != NULL ? (size_t)(colon - name) : strlen(name);
    for (size_t i = 0; i < COUNT(stores); i++) {
        if (!mf_str_eq(mf_str_of(name, len), mf_cstr(stores[i].name)))
            continue;
        if (stores[i].create == NULL)
            return mf_fail(err, MF_E_UNSUPPORTED, "url: the store %s is not built in: this mageflow was built without it",
                           stores[i].name);
        return stores[i].create(options, colon != NULL ? colon + 1 : "", out, err);
    }
    struct text known = {.len = 0};
    for (size_t i = 0; i < COUNT(stores); i++) {
        add_text(&known, i == 0 ? "" : " or ");
        add_text(&known, stores[i].form);
    }
    return mf_fail(err, MF_E_INVALID, "url: parameter \"store\": expected %s, got \"%.*s\"", known.at,
                   (int)(len < 40 ? len : 40), name);
}

/* What the URL says, on top of what the options say. Makes what the caller did not bring. */
static mf_status detect(const char *text, mf_options *o, mf_error *err)
{
    if (o->adapter != NULL)
        return o->store != NULL ? MF_OK : make_store(NULL, o, &o->store, err);
    url_setting setting = {0};
    mfi_url url;
    mfi_manager manager = MFI_MANAGER_LOCAL;
    void *state = NULL;
    mf_status st = mfi_url_parse(text, &url, err);
    if (st == MF_OK)
        st = find_manager(&url, &manager, err);
    if (st == MF_OK && manager == MFI_MANAGER_LOCAL && url.rest.len > 0)
        st = mf_fail(err, MF_E_INVALID, "url: expected nothing between \"local:\" and \"?\"");
    if (st == MF_OK && managers[manager].begin != NULL)
        st = managers[manager].begin(&url, o, &state, err);
    if (st == MF_OK)
        st = find_parameters(&url, manager, state, &setting, err);
    if (st == MF_OK && setting.threads != 0)
        o->threads = setting.threads;
    bool own_store = o->store == NULL && setting.store == NULL && managers[manager].store != NULL;
    if (st == MF_OK && own_store)
        st = managers[manager].store(state, o, &o->store, err);
    else if (st == MF_OK && o->store == NULL)
        st = make_store(setting.store, o, &o->store, err);
    if (st == MF_OK) {
        st = managers[manager].create(state, o, &o->adapter, err);
        if (st == MF_OK && own_store && managers[manager].join != NULL)
            managers[manager].join(o->adapter, o->store);
        return st;
    }
    if (managers[manager].abandon != NULL)
        managers[manager].abandon(state);
    return st;
}

mf_status mf_options_from_url(const char *url, mf_options *options, mf_error *err)
{
    if (options->struct_size < sizeof *options)     /* its fields cannot be trusted to be there: nothing is touched */
        return mf_fail(err, MF_E_INVALID, "options: struct_size is %zu, expected %zu; make them with MF_OPTIONS(...) of this "
                       "mageflow/client.h", options->struct_size, sizeof *options);
    mf_status st = detect(url != NULL ? url : "local:", options, err);
    if (st == MF_OK)
        return MF_OK;
    mf_adapter_destroy(options->adapter);
    mf_store_destroy(options->store);
    options->adapter = NULL;
    options->store = NULL;
    return st;
}

mf_status mf_open(const char *url, const mf_options *options, mf_client **out, mf_error *err)
{
    mf_options o = {.struct_size = sizeof o};
    if (options != NULL) {
        if (options->struct_size == 0)
            return mf_fail(err, MF_E_INVALID, "options: struct_size is 0; make them with MF_OPTIONS(...)");
        memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
        o.struct_size = sizeof o;
    }
    mf_status st = mf_options_from_url(url, &o, err);
    return st != MF_OK ? st : mf_client_create(o.adapter, o.store, &o, out, err);
}
