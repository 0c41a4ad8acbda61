/* What can be wrong with a server, told before it hurts. Everything here reads, but for commands whose permission is asked for: they
 * are queued in a transaction that cannot be executed, since its first command lacks its argument. The server looks at rights when a
 * command is queued, so that nothing has to be done to learn whether it may be. */
#include "redis_doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "finding.h"
#include "store_impl.h"

#define LEAST_MAJOR 6
#define LEAST_MINOR 2
#define WORDS_MAX   16
#define COMMANDS_MAX 96

/* ---- what INFO says ------------------------------------------------------------------------------------------------ */

/* The value behind "name:", up to its line's end; empty: it is not there. */
static mf_str info_of(mf_str info, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = info.at, *end = info.at + info.len; at != NULL && at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t line = line_end != NULL ? (size_t)(line_end - at) : (size_t)(end - at);
        if (line > len && memcmp(at, name, len) == 0 && at[len] == ':') {
            mf_str value = mf_str_of(at + len + 1, line - len - 1);
            if (value.len > 0 && value.at[value.len - 1] == '\r')
                value.len--;
            return value;
        }
        at = line_end != NULL ? line_end + 1 : NULL;
    }
    return mf_str_of("", 0);
}

static bool info_is(mf_str info, const char *name, const char *value)
{
    return mf_str_eq(info_of(info, name), mf_cstr(value));
}

static uint64_t info_number(mf_str info, const char *name)
{
    return strtoull(info_of(info, name).at, NULL, 10);     /* its text ends in a line's end, or in NUL */
}

static void look_at_version(const mfi_teller *t, mf_str info)
{
    mf_str version = info_of(info, "redis_version");
    char *end = NULL;
    unsigned long major = strtoul(version.at, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    bool good = major > LEAST_MAJOR || (major == LEAST_MAJOR && minor >= LEAST_MINOR);
    mfi_tell(t, good ? MF_FINDING_OK : MF_FINDING_ERROR, "version", "Redis 6.2 or later", "install a later Redis",
             "Redis %.*s", (int)version.len, version.at);
}

static void look_at_role(const mfi_teller *t, mf_str info)
{
    if (info_is(info, "role", "master"))
        mfi_tell(t, MF_FINDING_OK, "role", "a primary, which takes writes", "", "a primary");
    else
        mfi_tell(t, MF_FINDING_ERROR, "role", "a primary, which takes writes", "let the URL name the primary",
                 "a replica of %.*s", (int)info_of(info, "master_host").len, info_of(info, "master_host").at);
}

static void look_at_eviction(const mfi_teller *t, mf_str info)
{
    static const char expected[] = "maxmemory-policy noeviction, or no maxmemory";
    uint64_t most = info_number(info, "maxmemory"), used = info_number(info, "used_memory");
    mf_str policy = info_of(info, "maxmemory_policy");
    if (most == 0) {
        mfi_tell(t, MF_FINDING_OK, "eviction", expected, "", "no maxmemory: nothing is evicted");
        return;
    }
    bool none = info_is(info, "maxmemory_policy", "noeviction");
    bool volatiles = policy.len > 9 && memcmp(policy.at, "volatile-", 9) == 0;
    mfi_tell(t, none ? MF_FINDING_OK : volatiles ? MF_FINDING_WARN : MF_FINDING_ERROR, "eviction", expected,
             "CONFIG SET maxmemory-policy noeviction (and in redis.conf): under any other the server drops keys when memory is full, "
             "and with them messages, flows or results",
             "maxmemory-policy %.*s with maxmemory %" PRIu64 " MiB: when memory is full %s", (int)policy.len, policy.at, most >> 20,
             none ? "writes are refused, and nothing is lost" : volatiles ? "keys with a time to live are dropped: results, and what "
                    "keeps a repeated commit from being done twice" : "any key is dropped: queues and flows");
    unsigned percent = (unsigned)(used / (most / 100 > 0 ? most / 100 : 1));
    mfi_tell(t, percent < 90 ? MF_FINDING_OK : MF_FINDING_WARN, "memory", "less than 90 % of maxmemory used",
             "give it more, or find what fills it: redis-cli --bigkeys", "%u %% of %" PRIu64 " MiB used", percent, most >> 20);
}

/* rules: what CONFIG GET save says; at NULL: it may not be asked. */
static void look_at_persistence(const mfi_teller *t, mf_str info, mf_str rules)
{
    static const char expected[] = "appendonly yes: what was accepted survives the server's restart";
    static const char advice[] = "CONFIG SET appendonly yes (and in redis.conf)";
    if (info_is(info, "aof_enabled", "1") && !info_is(info, "aof_last_write_status", "err"))
        mfi_tell(t, MF_FINDING_OK, "persistence", expected, "", "AOF: at most about a second is lost when the machine fails");
    else if (info_is(info, "aof_enabled", "1"))
        mfi_tell(t, MF_FINDING_ERROR, "persistence", expected, "look at the server's log and its disk: it refuses writes until the "
                 "file can be written", "AOF, whose last write failed");
    else if (info_is(info, "rdb_last_bgsave_status", "err"))
        mfi_tell(t, MF_FINDING_ERROR, "persistence", expected, "look at the server's log and its disk: by default it refuses writes "
                 "until a save succeeds", "no AOF, and the last save of a snapshot failed");
    else if (rules.at == NULL)
        mfi_tell(t, MF_FINDING_WARN, "persistence", expected, advice, "no AOF; whether there are snapshots cannot be asked by this user");
    else if (rules.len > 0)
        mfi_tell(t, MF_FINDING_WARN, "persistence", expected, advice, "no AOF, snapshots (save %.*s): a restart loses everything since "
                 "the last one", (int)rules.len, rules.at);
    else
        mfi_tell(t, MF_FINDING_WARN, "persistence", expected, advice, "neither AOF nor snapshots: a restart loses everything");
}

static void look_at_server(mfi_redis *redis, const mfi_teller *t)
{
    mfi_redis_replies *r = NULL, *config = NULL;
    mf_error err = {.text = ""};
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    mfi_redis_add(rq, MF_STR_LIT("INFO"));
    if (mfi_redis_call(redis, rq, MFI_REDIS_HOW(.idempotent = true), &r, &err) != MF_OK) {
        mfi_tell(t, MF_FINDING_WARN, "server", "INFO answers: version, memory and persistence can be looked at",
                 "make it reachable, or allow the user +info", "%s", err.text);
        mfi_redis_replies_destroy(r);
        return;
    }
    mf_str info = r->at[0].text, rules = {NULL, 0};
    rq = mfi_redis_request_create(redis);
    mfi_redis_add(rq, MF_STR_LIT("CONFIG"), MF_STR_LIT("GET"), MF_STR_LIT("save"));
    if (mfi_redis_call(redis, rq, MFI_REDIS_HOW(.idempotent = true), &config, NULL) == MF_OK && config->at[0].count == 2)
        rules = config->at[0].items[1].text;
    look_at_version(t, info);
    look_at_role(t, info);
    look_at_eviction(t, info);
    look_at_persistence(t, info, rules);
    mfi_redis_replies_destroy(config);
    mfi_redis_replies_destroy(r);
}

/* ---- what the user may send ---------------------------------------------------------------------------------------- */

static void add_words(mfi_redis_request *rq, const char *command)
{
    mf_str words[WORDS_MAX];
    size_t n = 0;
    for (const char *at = command; *at != '\0' && n < WORDS_MAX; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        words[n++] = mf_str_of(at, len);
        at += len;
    }
    mfi_redis_add_argv(rq, n, words);
}

static void begin_spoiled(mfi_redis_request *rq)
{
    mfi_redis_add(rq, MF_STR_LIT("MULTI"));
    mfi_redis_add(rq, MF_STR_LIT("GET"));       /* without a key: whatever follows, EXEC refuses */
}

static bool is_error(const mfi_redis_reply *r, const char *word)
{
    return r->type == MFI_REDIS_ERROR && r->text.len >= strlen(word) && memcmp(r->text.at, word, strlen(word)) == 0;
}

/* Whether a spoiled transaction is what it should be, for this user on this server. */
static bool can_be_spoiled(mfi_redis *redis)
{
    mfi_redis_replies *r = NULL;
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    begin_spoiled(rq);
    mfi_redis_add(rq, MF_STR_LIT("EXEC"));
    (void)!mfi_redis_call(redis, rq, NULL, &r, NULL);
    bool good = r != NULL && r->count == 3 && r->at[0].type == MFI_REDIS_STATUS && is_error(&r->at[2], "EXECABORT");
    mfi_redis_replies_destroy(r);
    return good;
}

/* "HSET, XINFO GROUPS": a command's name, and of a container its first word, too. Once, on however many keys it is refused. */
static void name_command(char *out, size_t size, const char *command)
{
    char name[40];
    size_t len = strlen(out), word = strcspn(command, " ");
    static const char *const containers[] = {"XGROUP", "XINFO", "SCRIPT", "CLIENT"};
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
        if (strncmp(command, containers[i], word) == 0 && strlen(containers[i]) == word)
            word += 1 + strcspn(command + word + 1, " ");
    snprintf(name, sizeof name, "%s%.*s", len > 0 ? ", " : "", (int)word, command);
    if (strstr(out, len > 0 ? name : command) == NULL && strncmp(out, command, word) != 0)
        snprintf(out + len, size - len, "%s", name);
}

static void look_at_rights(mfi_redis *redis, const char *whose, const char *const *commands, const mfi_teller *t)
{
    static const char expected[] = "the user may send every command that is needed, on the keys it is sent for";
    static const char advice[] = "allow them with ACL SETUSER (adapters/redis/README.md has the line), or let the server's rename-command be";
    char missing[300] = "";
    size_t n = 0;
    mf_error err = {.text = ""};
    if (!can_be_spoiled(redis)) {
        mfi_tell(t, MF_FINDING_ERROR, "commands", expected, advice, "not even MULTI and EXEC: which others cannot be asked");
        return;
    }
    mfi_redis_replies *r = NULL;
    mfi_redis_request *rq = mfi_redis_request_create(redis);
    begin_spoiled(rq);
    for (; commands[n] != NULL && n < COMMANDS_MAX; n++)
        add_words(rq, commands[n]);
    mfi_redis_add(rq, MF_STR_LIT("EXEC"));
    (void)!mfi_redis_call(redis, rq, NULL, &r, &err);
    if (r == NULL || r->count != n + 3) {
        mfi_tell(t, MF_FINDING_WARN, "commands", expected, "make it reachable, and look again", "cannot be asked: %s", err.text);
        mfi_redis_replies_destroy(r);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (r->at[i + 2].type == MFI_REDIS_ERROR)
            name_command(missing, sizeof missing, commands[i]);
    mfi_redis_replies_destroy(r);
    if (missing[0] != '\0')
        mfi_tell(t, MF_FINDING_ERROR, "commands", expected, advice, "refused, and %s needs them: %s", whose, missing);
    else
        mfi_tell(t, MF_FINDING_OK, "commands", expected, "", "all %zu that %s needs are allowed", n, whose);
}

void mfi_redis_doctor(mfi_redis *redis, const char *whose, const char *const *commands, mf_finding_fn *tell, void *user)
{
    mfi_teller t = {.tell = tell, .user = user, .where = mfi_redis_text(redis)};
    mf_error err = {.text = ""};
    if (mfi_redis_wait_up(redis, mf_seconds(5), &err) != MF_OK) {
        mfi_tell(&t, MF_FINDING_ERROR, "reachable", "the server answers", "start it, or mend what the text says", "%s", err.text);
        return;
    }
    mfi_tell(&t, MF_FINDING_OK, "reachable", "the server answers", "", "it answers");
    look_at_server(redis, &t);
    look_at_rights(redis, whose, commands, &t);
}

/* ---- the store ----------------------------------------------------------------------------------------------------- */

#define K MFI_RS_PREFIX "doctor"

/* What its scripts and its other requests send; none of the keys is there. */
static const char *const of_the_store[] = {
    "EVAL return 0", "EVALSHA 0000000000000000000000000000000000000000 0", "SCRIPT LOAD return", "TIME",
    "HGET " K " f", "HSET " K " f v", "HMGET " K " f", "HDEL " K " f", "HLEN " K, "HEXISTS " K " f", "HINCRBY " K " f 1",
    "GET " K, "SET " K " v", "INCR " K, "EXISTS " K, "DEL " K, "UNLINK " K, "PEXPIRE " K " 1",
    "LRANGE " K " 0 0", "LLEN " K, "LINDEX " K " 0", "RPUSH " K " v", "LTRIM " K " 0 0", "SADD " K " v", "SMEMBERS " K,
    "ZADD " K " 1 v", "ZREM " K " v", "ZRANGE " K " 0 0", "ZRANGEBYSCORE " K " 0 0", "ZRANGEBYLEX " K " - +",
    "ZREVRANGEBYSCORE " K " 0 0", "ZPOPMIN " K, "ZCOUNT " K " 0 0", "ZSCORE " K " v",
    "XADD " K " * f v", "XREAD STREAMS " K " 0", "XREVRANGE " K " + -", NULL,
};

void mfi_rs_doctor(mf_store *base, mf_finding_fn *tell, void *user)
{
    mfi_redis_doctor(mfi_rs_of(base)->link, "the store", of_the_store, tell, user);
}
