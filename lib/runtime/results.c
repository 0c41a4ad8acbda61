/* Looking at what runs and what has ended. */
#include "runtime.h"

#include "memory.h"

#define RESULTS_PAGE 128

mf_status mf_count(mf_client *client, const mf_key *key, mf_counts *out, mf_error *err)
{
    mf_record record = {0};
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK)
        st = mf_store_load(client->store, key, 1, &record, err);
    if (st != MF_OK)
        return st;
    if (record.spec == NULL)
        return mf_fail(err, MF_E_NOT_FOUND, "there is no signature %s", key->text);
    const mf_state *s = &record.state;
    *out = (mf_counts){.status = s->status, .total = record.spec->kind == MF_KIND_TASK ? 1 : s->total,
                       .expected = s->expected, .running = s->running, .done = s->done, .failed = s->failed,
                       .canceled = s->canceled};
    mf_record_release(&record);
    return MF_OK;
}

mf_status mf_progress(mf_client *client, const mf_key *key, mf_message **out)
{
    mf_message *progress = NULL;
    mf_status st = mfi_client_check(client, NULL);
    if (st == MF_OK)
        st = mf_store_read_progress(client->store, key, &progress);
    if (st == MF_OK && progress == NULL)
        st = MF_E_NOT_FOUND;
    if (st == MF_OK)
        *out = progress;
    return st;
}

mf_status mf_log_line(mf_client *client, const mf_key *key, uint64_t n, char **out)
{
    size_t len = 0;
    mf_status st = mfi_client_check(client, NULL);
    if (st == MF_OK)
        st = mf_store_read_log(client->store, key, n, client->allocator, out, &len);
    for (size_t i = 0; st == MF_OK && i < len; i++)     /* what a person reads holds no NUL */
        if ((*out)[i] == '\0')
            (*out)[i] = ' ';
    return st;
}

void mf_text_free(mf_client *client, char *text)
{
    if (text != NULL)
        mfi_release(client->allocator, text, strlen(text) + 1);
}

/* ---- results ------------------------------------------------------------------------------------------------------ */

struct mf_results {
    mf_client *client;
    mf_key     key;
    uint64_t   total;       /* items of the swarm: outcomes after the last one that is known are pending */
    uint64_t   next;
    mf_outcome page[RESULTS_PAGE];
    size_t     at, count;
};

mf_status mf_results_open(mf_client *client, const mf_key *swarm, mf_results **out, mf_error *err)
{
    mf_record record = {0};
    mf_status st = mfi_client_check(client, err);
    if (st == MF_OK)
        st = mf_store_load(client->store, swarm, 1, &record, err);
    if (st != MF_OK)
        return st;
    mf_results *results = NULL;
    if (record.spec == NULL || record.spec->kind != MF_KIND_SWARM)
        st = mf_fail(err, record.spec == NULL ? MF_E_NOT_FOUND : MF_E_INVALID, "there is no swarm %s", swarm->text);
    else if ((results = mf_new(client->allocator, mf_results)) == NULL)
        st = mf_fail(err, MF_E_NOMEM, "results: no memory");
    if (st == MF_OK) {
        results->client = client;
        results->key = *swarm;
        results->total = record.state.total;
        *out = results;
    }
    mf_record_release(&record);
    return st;
}

mf_status mf_context_results(mf_context *ctx, const mf_message *in, mf_results **out, mf_error *err)
{
    mf_value swarm, value;
    mf_str text;
    mf_key key;
    if (!mf_value_get(mf_message_value(in), MF_STR_LIT("mageflow_swarm"), &swarm) ||
        !mf_value_get(swarm, MF_STR_LIT("swarm"), &value) || mf_value_str(value, &text) != MF_OK)
        return mf_fail(err, MF_E_INVALID, "results: the message has no field \"mageflow_swarm\" that names a swarm");
    mf_status st = mf_key_parse(text, &key, err);
    return st != MF_OK ? st : mf_results_open(ctx->call->client, &key, out, err);
}

static void drop_page(mf_results *results)
{
    for (size_t i = 0; i < results->count; i++)
        mf_message_unref(results->page[i].value);
    results->at = results->count = 0;
}

mf_status mf_results_next(mf_results *results, mf_outcome *out, mf_error *err)
{
    mf_status st = mfi_client_check(results->client, err);
    if (st != MF_OK)
        return st;
    if (results->next >= results->total)
        return mf_fail(err, MF_E_NOT_FOUND, "results: that was the last");
    if (results->at == results->count) {
        drop_page(results);
        st = mf_store_outcomes(results->client->store, &results->key, results->next, RESULTS_PAGE, results->page,
                                         &results->count, err);
        if (st != MF_OK)
            return st;
        if (results->count == 0) {
            results->count = 1;
            results->page[0] = (mf_outcome){.index = results->next, .status = MF_STATUS_PENDING};
        }
    }
    *out = results->page[results->at++];
    results->next++;
    return MF_OK;
}

void mf_results_close(mf_results *results)
{
    if (results == NULL)
        return;
    drop_page(results);
    mf_delete(results->client->allocator, results);
}
