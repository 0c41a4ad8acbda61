/* A batch that carries a manager's messages: what it sends and acknowledges on the server is one with what it writes. */
#include "kit.h"

#include <mageflow/adapter.h>
#include <string.h>

#include "redis_store.h"

static redis_server s = REDIS_SERVER(NULL);
static mf_store    *store;
static mfi_redis   *redis;
static mf_spec     *task, *swarm;

/* A courier whose parcels are the tasks' names; "list" goes to a list. */
static struct {
    int         packed, unpacked, sent, received;
    const char *queue, *dead;
    bool        refuses;
} courier;

static mf_status pack(void *user, const mf_entry *entry, mfi_redis_parcel *out, mf_error *err)
{
    (void)user;
    if (courier.refuses)
        return mf_fail(err, MF_E_TOO_BIG, "too heavy");
    courier.packed++;
    out->queue = mf_cstr(courier.queue);
    out->list = strcmp(courier.queue, "list") == 0;
    out->payload = entry->spec->name;
    out->forget = mf_cstr("an-old-result");
    return MF_OK;
}

static void unpack(void *user, mfi_redis_parcel *parcel)
{
    (void)user, (void)parcel;
    courier.unpacked++;
}

static void sent(void *user, const mf_entry *entry)
{
    (void)user, (void)entry;
    courier.sent++;
}

static bool receipt(void *user, const mf_delivery *delivery, mfi_redis_receipt *out)
{
    (void)user;
    if (delivery->native == NULL)
        return false;
    *out = (mfi_redis_receipt){MF_STR_LIT("work"), MF_STR_LIT("workers"), mf_cstr(delivery->native), true, mf_cstr(courier.dead),
                               MF_STR_LIT("poison")};
    return true;
}

static void received(void *user, const mf_delivery *delivery)
{
    (void)user, (void)delivery;
    courier.received++;
}

static void start(void)
{
    mfi_redis_address address;
    mf_error err = {0};
    char url[64];
    redis_server_start(&s);
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", s.port);
    cr_assert(eq(int, mfi_redis_address_from_url(url, &address, &err), MF_OK));
    cr_assert(eq(int, mfi_redis_store_create(&(mfi_redis_store_options){.address = &address}, &store, &err), MF_OK), "%s", err.text);
    redis = mfi_redis_store_link(store);
    memset(&courier, 0, sizeof courier);
    courier.queue = "stream";
    courier.dead = "";
    mfi_redis_store_carry(store, &(mfi_redis_courier){pack, unpack, sent, receipt, received, NULL});
    task = mf_spec_create(NULL, MF_KIND_TASK, MF_STR_LIT("resize"));
    swarm = mf_spec_create(NULL, MF_KIND_SWARM, MF_STR_LIT("swarm"));
    cr_assert(eq(int, mf_key_parse(MF_STR_LIT("swarm-0000000000000000000000001"), &swarm->key, NULL), MF_OK));
}

static void stop(void)
{
    mf_spec_unref(task);
    mf_spec_unref(swarm);
    mf_store_destroy(store);
    redis_server_stop(&s);
}

TestSuite(redis_carry, .init = start, .fini = stop, .timeout = 60);

static void is(const char *command, const char *want)
{
    char got[64];
    cr_assert(eq(int, live_call(redis, command, got, NULL), MF_OK));
    cr_assert(eq(str, got, (char *)want), "%s", command);
}

static mf_status send(mf_entry *entries, size_t n, const mf_delivery *const *deliveries, size_t delivery_count, mf_error *err)
{
    mf_refusal refusal;
    return mf_store_commit(store, &(mf_batch){.entries = entries, .entry_count = n, .deliveries = deliveries,
                                              .delivery_count = delivery_count}, &refusal, err);
}

static void everything_was_given_back(void)
{
    cr_assert(eq(int, courier.packed, courier.unpacked));
}

Test(redis_carry, what_is_due_goes_into_the_queue_and_what_is_not_into_the_outbox)
{
    mf_error err = {0};
    mf_entry entries[] = {{.spec = task, .attempt = 1}, {.spec = task, .attempt = 1, .due_ms = mf_store_now_ms(store) + 3600000},
                          {.spec = task, .attempt = 1}};
    live_do(redis, "SET an-old-result 1");
    cr_assert(eq(int, send(entries, 3, NULL, 0, &err), MF_OK), "%s", err.text);
    is("XLEN stream", "2");
    is("EXISTS an-old-result", "0");
    is("HLEN mageflow:m", "1");
    is("EVAL return\tredis.call('XRANGE','stream','-','+')[1][2][2] 0", "resize");
    cr_assert(eq(int, courier.sent, 2));
    everything_was_given_back();
    courier.queue = "list";
    cr_assert(eq(int, send(entries, 1, NULL, 0, &err), MF_OK), "%s", err.text);
    is("LLEN list", "1");
}

Test(redis_carry, a_refused_batch_sends_and_acknowledges_nothing)
{
    mf_error err = {0};
    mf_refusal refusal;
    mf_entry entry = {.spec = task, .attempt = 1};
    live_do(redis, "XGROUP CREATE work workers 0 MKSTREAM");
    live_do(redis, "XADD work 5-1 data x");
    live_do(redis, "XREADGROUP GROUP workers me STREAMS work >");
    char id[] = "5-1";
    const mf_delivery delivery = {.native = id}, *deliveries[] = {&delivery};
    uint64_t nobodys = 12345;
    mf_batch batch = {.settles = &nobodys, .settle_count = 1, .entries = &entry, .entry_count = 1, .deliveries = deliveries,
                      .delivery_count = 1};
    cr_assert(eq(int, mf_store_commit(store, &batch, &refusal, &err), MF_E_CONFLICT));
    is("EXISTS stream", "0");
    is("EVAL return\tredis.call('XPENDING','work','workers')[1] 0", "1");
    cr_assert(all(eq(int, courier.sent, 0), eq(int, courier.received, 0)));
    everything_was_given_back();
}

Test(redis_carry, what_ended_is_acknowledged_and_deleted_with_the_commit)
{
    mf_error err = {0};
    live_do(redis, "XGROUP CREATE work workers 0 MKSTREAM");
    char ids[3][8] = {"5-1", "5-2", "5-3"};
    for (int i = 0; i < 3; i++) {
        char command[64];
        snprintf(command, sizeof command, "XADD work %s data x", ids[i]);
        live_do(redis, command);
    }
    live_do(redis, "XREADGROUP GROUP workers me STREAMS work >");
    const mf_delivery held[] = {{.native = ids[0]}, {.native = NULL}, {.native = ids[2]}};
    const mf_delivery *deliveries[] = {&held[0], &held[1], &held[2]};
    cr_assert(eq(int, send(NULL, 0, deliveries, 3, &err), MF_OK), "%s", err.text);
    is("XLEN work", "1");
    is("EVAL return\tredis.call('XPENDING','work','workers')[2] 0", "5-2");
    cr_assert(eq(int, courier.received, 2));
    /* The stream and its group are gone: what was committed is committed. */
    live_do(redis, "DEL work");
    cr_assert(eq(int, send(NULL, 0, deliveries, 3, &err), MF_OK), "%s", err.text);
}

Test(redis_carry, what_is_given_up_is_kept_aside_once_with_the_commit)
{
    mf_error err = {0};
    char id[] = "5-1";
    const mf_delivery held = {.native = id}, *deliveries[] = {&held};
    live_do(redis, "XGROUP CREATE work workers 0 MKSTREAM");
    live_do(redis, "XADD work 5-1 data x");
    live_do(redis, "XREADGROUP GROUP workers me STREAMS work >");
    courier.dead = "dead";
    /* Where the letter cannot be kept, the message is not acknowledged; what was committed is committed. */
    live_do(redis, "SET dead text");
    cr_assert(eq(int, send(NULL, 0, deliveries, 1, &err), MF_OK), "%s", err.text);
    is("EVAL return\tredis.call('XPENDING','work','workers')[1] 0", "1");
    live_do(redis, "DEL dead");
    for (int i = 0; i < 2; i++) {       /* by whomever, however often */
        cr_assert(eq(int, send(NULL, 0, deliveries, 1, &err), MF_OK), "%s", err.text);
        is("XLEN work", "0");
        is("XLEN dead", "1");
    }
    is("EVAL return\ttable.concat(redis.call('XRANGE','dead','-','+')[1][2],'.') 0", "data.x.reason.poison.queue.work");
}

Test(redis_carry, a_queue_of_another_type_or_a_parcel_that_cannot_be_made_changes_nothing)
{
    mf_error err = {0};
    mf_refusal refusal;
    mf_entry entry = {.spec = task, .attempt = 1};
    mf_state state = {.status = MF_STATUS_ACTIVE};
    mf_batch batch = {.puts = &(mf_put){swarm, &state}, .put_count = 1, .entries = &entry, .entry_count = 1};
    live_do(redis, "SET stream text");
    cr_assert(eq(int, mf_store_commit(store, &batch, &refusal, &err), MF_E_TYPE), "%s", err.text);
    is("GET stream", "text");
    courier.refuses = true;
    cr_assert(eq(int, mf_store_commit(store, &batch, &refusal, &err), MF_E_TOO_BIG), "%s", err.text);
    cr_assert(eq(str, err.text, "too heavy"));
    mf_record record;
    cr_assert(eq(int, mf_store_load(store, &swarm->key, 1, &record, &err), MF_OK));
    cr_assert(eq(ptr, record.spec, NULL));
    everything_was_given_back();
}
