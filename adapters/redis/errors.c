/* What an error answer means, and what to do about it. The text repeats what the server said where that says more than the
 * word does, but no arguments of commands: they may be secrets or payloads. */
#include "redis_impl.h"

static const struct {
    const char *word;        /* what the answer begins with, up to a blank */
    mf_status   status;
    const char *text;        /* NULL: what the server said */
} rows[] = {
    {"NOAUTH", MF_E_INVALID, "the server asks for a password: put one into the URL, or name a password_file="},
    {"WRONGPASS", MF_E_INVALID, "wrong user or password, or the user is disabled"},
    {"NOPERM", MF_E_INVALID, NULL},
    {"DENIED", MF_E_INVALID, "the server is in protected mode and takes connections from its own machine alone: give it a "
                             "password (requirepass) or an ACL user"},
    {"EXECABORT", MF_E_INVALID, "the transaction was dropped, for one of its commands was refused"},
    {"READONLY", MF_E_STATE, "this server is a read-only replica: name the primary, or wait until the name leads to it"},
    {"MISCONF", MF_E_STATE, "the server takes no writes because it cannot save to its disk: see its log"},
    {"LOADING", MF_E_AGAIN, "the server is loading its data: wait"},
    {"BUSY", MF_E_AGAIN, "the server is busy with a script: wait, or SCRIPT KILL"},
    {"MASTERDOWN", MF_E_AGAIN, "the replica has lost its primary and answers nothing: wait, or name the primary"},
    {"TRYAGAIN", MF_E_AGAIN, NULL},
    {"NOREPLICAS", MF_E_AGAIN, "the server has too few replicas to take writes (min-replicas-to-write): wait"},
    {"OOM", MF_E_FULL, "the server's memory is used up (maxmemory): raise it, or let results expire sooner"},
    {"NOGROUP", MF_E_NOT_FOUND, "no such stream or consumer group"},
    {"NOSCRIPT", MF_E_NOT_FOUND, "the server does not know the script"},
    {"BUSYGROUP", MF_E_EXISTS, "the consumer group is there already"},
    {"BUSYKEY", MF_E_EXISTS, "the key is there already"},
    {"WRONGTYPE", MF_E_TYPE, "the key holds another type than this command works on: is the name used by somebody else?"},
    {"UNBLOCKED", MF_E_CANCELED, "the wait was ended in the server"},
    {"MOVED", MF_E_UNSUPPORTED, "this is a node of a cluster, which mageflow does not speak to: name a single server"},
    {"ASK", MF_E_UNSUPPORTED, "this is a node of a cluster, which mageflow does not speak to: name a single server"},
    {"CROSSSLOT", MF_E_UNSUPPORTED, "this is a node of a cluster, which mageflow does not speak to: name a single server"},
    {"CLUSTERDOWN", MF_E_UNSUPPORTED, "this is a node of a cluster, which mageflow does not speak to: name a single server"},
};

static mf_str word_of(mf_str text)
{
    const char *blank = text.len == 0 ? NULL : memchr(text.at, ' ', text.len);
    return mf_str_of(text.at, blank != NULL ? (size_t)(blank - text.at) : text.len);
}

static bool begins(mf_str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.at, with, len) == 0;
}

/* What the server said, but for the arguments it repeats. */
static mf_str without_arguments(mf_str text)
{
    const char *args = memmem(text.at, text.len, ", with args beginning with", 26);
    return mf_str_of(text.at, args != NULL ? (size_t)(args - text.at) : text.len);
}

bool mfi_redis_is_error(const mfi_redis_reply *reply, const char *word)
{
    return reply->type == MFI_REDIS_ERROR && mf_str_eq(word_of(reply->text), mf_cstr(word));
}

static int shown(mf_str text)
{
    return text.len < 300 ? (int)text.len : 300;
}

mf_status mfi_redis_explain(const char *what, const mfi_redis_reply *reply, mf_error *err)
{
    if (reply->type != MFI_REDIS_ERROR)
        return MF_OK;
    mf_str said = without_arguments(reply->text), word = word_of(said);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!mf_str_eq(word, mf_cstr(rows[i].word)))
            continue;
        if (rows[i].text == NULL)
            return mf_fail(err, rows[i].status, "%s: %.*s", what, shown(said), said.at);
        return mf_fail(err, rows[i].status, "%s: %s: %s", what, rows[i].word, rows[i].text);
    }
    mf_status st = MF_E_INVALID;
    if (begins(said, "ERR unknown command") || begins(said, "ERR unknown subcommand"))
        st = MF_E_UNSUPPORTED;
    else if (begins(said, "ERR max number of clients reached"))
        st = MF_E_AGAIN;
    return mf_fail(err, st, "%s: %.*s", what, shown(said), said.at);
}

mf_status mfi_redis_error_status(const mfi_redis_reply *reply, mf_error *err)
{
    return mfi_redis_explain("redis", reply, err);
}

mf_status mfi_redis_explain_all(const char *what, const mfi_redis_replies *replies, mf_error *err)
{
    for (size_t i = 0; i < replies->count; i++) {
        const mfi_redis_reply *r = &replies->at[i];
        mf_status st = mfi_redis_explain(what, r, err);
        for (size_t j = 0; st == MF_OK && r->type == MFI_REDIS_ARRAY && j < r->count; j++)
            st = mfi_redis_explain(what, &r->items[j], err);
        if (st != MF_OK)
            return st;
    }
    return MF_OK;
}
