#include "kit.h"

static const struct {
    const char *said;
    mf_status   status;
    const char *part;       /* of what is told */
} rows[] = {
    {"NOAUTH Authentication required.", MF_E_INVALID, "password"},
    {"WRONGPASS invalid username-password pair or user is disabled.", MF_E_INVALID, "wrong user or password"},
    {"NOPERM User u has no permissions to run the 'get' command", MF_E_INVALID, "'get'"},
    {"READONLY You can't write against a read only replica.", MF_E_STATE, "replica"},
    {"MISCONF Redis is configured to save RDB snapshots", MF_E_STATE, "disk"},
    {"LOADING Redis is loading the dataset in memory", MF_E_AGAIN, "loading"},
    {"BUSY Redis is busy running a script.", MF_E_AGAIN, "SCRIPT KILL"},
    {"MASTERDOWN Link with MASTER is down", MF_E_AGAIN, "primary"},
    {"NOREPLICAS Not enough good replicas to write.", MF_E_AGAIN, "replicas"},
    {"OOM command not allowed when used memory > 'maxmemory'.", MF_E_FULL, "maxmemory"},
    {"NOGROUP No such key 's' or consumer group 'g'", MF_E_NOT_FOUND, "consumer group"},
    {"NOSCRIPT No matching script.", MF_E_NOT_FOUND, "script"},
    {"BUSYGROUP Consumer Group name already exists", MF_E_EXISTS, "already"},
    {"WRONGTYPE Operation against a key holding the wrong kind of value", MF_E_TYPE, "another type"},
    {"UNBLOCKED client unblocked via CLIENT UNBLOCK", MF_E_CANCELED, "ended"},
    {"MOVED 3999 127.0.0.1:6381", MF_E_UNSUPPORTED, "cluster"},
    {"ASK 3999 127.0.0.1:6381", MF_E_UNSUPPORTED, "cluster"},
    {"CROSSSLOT Keys in request don't hash to the same slot", MF_E_UNSUPPORTED, "cluster"},
    {"CLUSTERDOWN The cluster is down", MF_E_UNSUPPORTED, "cluster"},
    {"EXECABORT Transaction discarded because of previous errors.", MF_E_INVALID, "transaction"},
    {"DENIED Redis is running in protected mode", MF_E_INVALID, "protected mode"},
    {"ERR max number of clients reached", MF_E_AGAIN, "clients"},
    {"ERR value is not an integer or out of range", MF_E_INVALID, "not an integer"},
    {"ERR unknown command 'GETDEL', with args beginning with: 's3cret' ", MF_E_UNSUPPORTED, "GETDEL"},
    {"", MF_E_INVALID, "redis"},
};

Test(redis_errors, each_means_a_status_and_says_what_to_do)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mfi_redis_reply r = {.type = MFI_REDIS_ERROR, .text = mf_cstr(rows[i].said)};
        mf_error err = {0};
        cr_assert(eq(int, mfi_redis_error_status(&r, &err), rows[i].status), "%s", rows[i].said);
        cr_assert(eq(int, err.status, rows[i].status), "%s", rows[i].said);
        cr_assert(kit_says(&err, rows[i].part), "%s: %s", rows[i].said, err.text);
        cr_assert(not(kit_says(&err, "s3cret")), "%s", err.text);
    }
}

Test(redis_errors, what_is_no_error_is_ok)
{
    mfi_redis_reply r = {.type = MFI_REDIS_STRING, .text = MF_STR_LIT("OOM")};
    cr_assert(eq(int, mfi_redis_error_status(&r, NULL), MF_OK));
}
