/* The gRPC client against servers whose every byte is written down here: what is well-formed, what is not, what is no gRPC. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_h2.h"
#include "rpc.h"
#include "threads_rest.h"

/* HEADERS on stream 1: literal fields without indexing, "\0" length name length value; ":status: 200" is \x88. */
#define TYPE_GRPC "\0\x0c" "content-type" "\x10" "application/grpc"
#define OK_HEAD "\0\0\x20\1\4\0\0\0\1" "\x88" TYPE_GRPC
#define TRAILERS_OK "\0\0\x0f\1\5\0\0\0\1" "\0\x0b" "grpc-status" "\1" "0"
#define DATA_HELLO "\0\0\x0a\0\0\0\0\0\1" "\0\0\0\0\5" "hello"
#define GOAWAY_1 "\0\0\x08\7\0\0\0\0\0" "\0\0\0\1" "\0\0\0\0"
#define GOAWAY_0 "\0\0\x08\7\0\0\0\0\0" "\0\0\0\0" "\0\0\0\0"
#define RST(code) "\0\0\4\3\0\0\0\0\1" "\0\0\0" code

/* ---- one call, and all that came of it ---------------------------------------------------------------------------- */

typedef struct heard {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    bool            ended, unseen;
    unsigned        messages;
    char            last[64];
    mfi_rpc_code    code;
    mf_status       st;
    char            text[MF_ERROR_TEXT_MAX];
} heard;

static void heard_init(heard *h)
{
    memset(h, 0, sizeof *h);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
}

static void on_message(void *user, mf_str message)
{
    heard *h = user;
    pthread_mutex_lock(&h->lock);
    h->messages++;
    snprintf(h->last, sizeof h->last, "%.*s", (int)message.len, message.at);
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void on_end(void *user, const mfi_rpc_end *end)
{
    heard *h = user;
    pthread_mutex_lock(&h->lock);
    h->ended = true;
    h->unseen = end->unseen;
    h->code = end->code;
    h->st = end->status;
    snprintf(h->text, sizeof h->text, "%s", end->err != NULL ? end->err->text : "");
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void wait_end(heard *h)
{
    pthread_mutex_lock(&h->lock);
    while (!h->ended)
        pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

static void wait_messages(heard *h, unsigned n)
{
    pthread_mutex_lock(&h->lock);
    while (h->messages < n)
        pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

static mfi_rpc *connect_to(const fake_h2 *fake, mfi_rpc_options o)
{
    mfi_rpc *rpc = NULL;
    mf_error err;
    o.what = "fake";
    o.host = "127.0.0.1";
    o.port = fake_h2_port(fake);
    if (o.ping_every == 0)
        o.ping_every = mf_minutes(1);       /* nothing but what the test does wakes the link */
    cr_assert(eq(int, mfi_rpc_create(&o, &rpc, &err), MF_OK), "%s", err.text);
    return rpc;
}

static void begin(mfi_rpc *rpc, heard *h, mf_duration within)
{
    mf_error err;
    heard_init(h);
    cr_assert(eq(int, mfi_rpc_begin(rpc, &(mfi_rpc_spec){.method = "/test.S/M", .request = MF_STR_LIT("x"), .within = within,
                                                         .message = on_message, .ended = on_end, .user = h}, NULL, &err), MF_OK));
}

/* One unary call to a server that plays this script. */
static void one_call(const fake_step *script, mfi_rpc_options o, heard *h)
{
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, o);
    begin(rpc, h, mf_seconds(20));
    wait_end(h);
    mfi_rpc_destroy(rpc, 0);
    fake_h2_stop(fake);
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

/* What a server says to one request, and how the call ends. */
static const struct answer {
    const char *name;
    fake_step   say;
    mfi_rpc_code code;
    mf_status   st;
    unsigned    messages;
    const char *text;       /* is part of the error */
} answers[] = {
    {"message and trailers", SAY(OK_HEAD DATA_HELLO TRAILERS_OK), MFI_RPC_OK, MF_OK, 1, ""},
    {"empty message", SAY(OK_HEAD "\0\0\5\0\0\0\0\0\1" "\0\0\0\0\0" TRAILERS_OK), MFI_RPC_OK, MF_OK, 1, ""},
    {"two messages in three pieces", SAY(OK_HEAD "\0\0\3\0\0\0\0\0\1" "\0\0\0" "\0\0\4\0\0\0\0\0\1" "\0\2" "ab"
         "\0\0\6\0\0\0\0\0\1" "\0\0\0\0\1" "c" TRAILERS_OK), MFI_RPC_OK, MF_OK, 2, ""},
    {"trailers only", SAY("\0\0\x43\1\5\0\0\0\1" "\x88" TYPE_GRPC "\0\x0b" "grpc-status" "\1" "5" "\0\x0c" "grpc-message" "\5" "a%20b"),
     MFI_RPC_NOT_FOUND, MF_E_NOT_FOUND, 0, "NOT_FOUND: a b"},
    {"a status nobody knows", SAY("\0\0\x30\1\5\0\0\0\1" "\x88" TYPE_GRPC "\0\x0b" "grpc-status" "\2" "99"), MFI_RPC_UNKNOWN, MF_E_IO, 0,
     "code 99"},
    {"reset: canceled", SAY(RST("\x08")), MFI_RPC_CANCELLED, MF_E_CANCELED, 0, "the stream was reset"},
    {"reset: calm", SAY(RST("\x0b")), MFI_RPC_RESOURCE_EXHAUSTED, MF_E_FULL, 0, "the stream was reset"},
    {"reset: internal", SAY(RST("\x02")), MFI_RPC_INTERNAL, MF_E_IO, 0, "the stream was reset"},
    {"a compressed message", SAY(OK_HEAD "\0\0\6\0\0\0\0\0\1" "\1\0\0\0\1" "z"), MFI_RPC_INTERNAL, MF_E_UNSUPPORTED, 0, "compressed"},
    {"a byte that is no flag", SAY(OK_HEAD "\0\0\6\0\0\0\0\0\1" "\7\0\0\0\1" "z"), MFI_RPC_INTERNAL, MF_E_MALFORMED, 0, "0x07"},
    {"a message of 4 GiB", SAY(OK_HEAD "\0\0\5\0\0\0\0\0\1" "\0\xff\xff\xff\xff"), MFI_RPC_RESOURCE_EXHAUSTED, MF_E_TOO_BIG, 0,
     "4294967295 bytes"},
    {"an end inside a message", SAY(OK_HEAD "\0\0\7\0\0\0\0\0\1" "\0\0\0\0\5" "he" TRAILERS_OK), MFI_RPC_INTERNAL, MF_E_IO, 0,
     "inside a message"},
    {"no status at all", SAY(OK_HEAD "\0\0\0\0\1\0\0\0\1"), MFI_RPC_INTERNAL, MF_E_IO, 0, "without a status"},
    {"HTML", SAY("\0\0\x19\1\4\0\0\0\1" "\x88" "\0\x0c" "content-type" "\x09" "text/html" "\0\0\6\0\1\0\0\0\1" "<html>"), MFI_RPC_UNKNOWN,
     MF_E_MALFORMED, 0, "answered HTTP 200 with text/html: this is not a gRPC port"},
    {"HTTP 404 without a body", SAY("\0\0\1\1\5\0\0\0\1" "\x8d"), MFI_RPC_UNIMPLEMENTED, MF_E_UNSUPPORTED, 0,
     "answered HTTP 404 with no content type: this is not a gRPC port"},
    {"HTTP 503", SAY("\0\0\x1d\1\5\0\0\0\1" "\x08\3" "503" "\0\x0c" "content-type" "\x09" "text/html"), MFI_RPC_UNAVAILABLE, MF_E_IO, 0,
     "cannot reach it now"},
};
#define ANSWERS (sizeof answers / sizeof *answers)

Test(hatchet_rpc, a_call_ends_as_the_bytes_of_the_answer_say)
{
    for (size_t i = 0; i < ANSWERS; i++) {
        const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, answers[i].say, {FAKE_END, NULL, 0}};
        heard h;
        one_call(script, (mfi_rpc_options){0}, &h);
        cr_assert(eq(int, h.code, answers[i].code), "%s: %s", answers[i].name, h.text);
        cr_assert(eq(int, h.st, answers[i].st), "%s: %s", answers[i].name, h.text);
        cr_assert(eq(uint, h.messages, answers[i].messages), "%s", answers[i].name);
        cr_assert(strstr(h.text, answers[i].text) != NULL, "%s: \"%s\" is not in \"%s\"", answers[i].name, answers[i].text, h.text);
    }
}

/* ---- what is no gRPC server ---------------------------------------------------------------------------------------- */

static const struct stranger {
    fake_step   say;
    mf_status   st;
    const char *text;
} strangers[] = {
    {SAY("HTTP/1.1 400 Bad Request\r\n\r\n"), MF_E_INVALID, "an HTTP/1 server answers there"},
    {SAY("-ERR unknown command 'PRI'\r\n"), MF_E_INVALID, "a Redis answers there"},
    {SAY("\x15\3\3\0\2\2\x46"), MF_E_INVALID, "the port speaks TLS"},
    {SAY("220 mail.example ESMTP\r\n"), MF_E_INVALID, "does not speak HTTP/2"},
};

Test(hatchet_rpc, what_is_no_grpc_server_is_named_and_refuses_each_call_at_once)
{
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        const fake_step script[] = {strangers[i].say, {FAKE_END, NULL, 0}};
        const fake_step *scripts[] = {script};
        fake_h2 *fake = fake_h2_start(scripts, 1);
        mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
        mf_error err;
        cr_assert(eq(int, mfi_rpc_wait_up(rpc, mf_seconds(20), &err), strangers[i].st), "%zu: %s", i, err.text);
        cr_assert(strstr(err.text, strangers[i].text) != NULL, "%s", err.text);
        heard h;
        begin(rpc, &h, MF_FOREVER);
        wait_end(&h);
        cr_assert(eq(int, h.st, strangers[i].st), "%s", h.text);
        cr_assert(h.unseen);
        mfi_rpc_destroy(rpc, 0);
        fake_h2_stop(fake);
    }
}

Test(hatchet_rpc, a_server_that_says_nothing_is_told_of_by_the_call_that_waits_for_it)
{
    const fake_step script[] = {{FAKE_CLOSE, NULL, 0}};
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    mf_error err;
    cr_assert(eq(int, mfi_rpc_wait_up(rpc, mf_milliseconds(200), &err), MF_E_TIMEOUT));
    heard h;
    begin(rpc, &h, mf_milliseconds(50));
    wait_end(&h);
    cr_assert(eq(int, h.code, MFI_RPC_DEADLINE_EXCEEDED));
    cr_assert(strstr(h.text, "not sent in time: fake") != NULL, "%s", h.text);
    mfi_rpc_destroy(rpc, 0);
    fake_h2_stop(fake);
}

/* ---- connections that go --------------------------------------------------------------------------------------------- */

static const fake_step answers_one[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, SAY(OK_HEAD DATA_HELLO TRAILERS_OK), {FAKE_END, NULL, 0}};

static void call_over_two(const fake_step *first, heard *h, mfi_rpc_stats *stats)
{
    const fake_step *scripts[] = {first, answers_one};
    fake_h2 *fake = fake_h2_start(scripts, 2);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    begin(rpc, h, mf_seconds(20));
    wait_end(h);
    mfi_rpc_stats_read(rpc, stats);
    mfi_rpc_destroy(rpc, 0);
    fake_h2_stop(fake);
}

Test(hatchet_rpc, a_call_behind_a_goaway_is_made_again_on_the_next_connection)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, SAY(GOAWAY_0), {FAKE_END, NULL, 0}};
    heard h;
    mfi_rpc_stats stats;
    call_over_two(script, &h, &stats);
    cr_assert(eq(int, h.code, MFI_RPC_OK), "%s", h.text);
    cr_assert(eq(u64, stats.resent, 1));
    cr_assert(eq(u64, stats.goaways, 1));
    cr_assert(eq(str, h.last, "hello"));
}

Test(hatchet_rpc, a_refused_stream_is_begun_again)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, SAY(RST("\7") GOAWAY_1), {FAKE_END, NULL, 0}};
    heard h;
    mfi_rpc_stats stats;
    call_over_two(script, &h, &stats);
    cr_assert(eq(int, h.code, MFI_RPC_OK), "%s", h.text);
    cr_assert(eq(u64, stats.resent, 1));
}

Test(hatchet_rpc, what_runs_at_a_goaway_ends_there_while_new_calls_go_elsewhere)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, SAY(GOAWAY_1), {FAKE_HOLD, NULL, 0},
                                SAY(OK_HEAD DATA_HELLO TRAILERS_OK), {FAKE_END, NULL, 0}};
    const fake_step *scripts[] = {script, answers_one};
    fake_h2 *fake = fake_h2_start(scripts, 2);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    heard one, two;
    begin(rpc, &one, mf_seconds(20));
    while (fake_h2_connections(fake) < 2)       /* the link connects anew by itself */
        sched_yield();
    begin(rpc, &two, mf_seconds(20));
    wait_end(&two);
    cr_assert(eq(int, two.code, MFI_RPC_OK), "%s", two.text);
    cr_assert(not(one.ended));
    fake_h2_go(fake);
    wait_end(&one);
    cr_assert(eq(int, one.code, MFI_RPC_OK), "%s", one.text);
    mfi_rpc_destroy(rpc, 0);
    fake_h2_stop(fake);
}

Test(hatchet_rpc, a_call_cut_off_after_it_was_sent_is_in_doubt_and_says_so)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, {FAKE_CLOSE, NULL, 0}};
    heard h;
    one_call(script, (mfi_rpc_options){0}, &h);
    cr_assert(eq(int, h.code, MFI_RPC_UNAVAILABLE));
    cr_assert(eq(int, h.st, MF_E_IO));
    cr_assert(not(h.unseen));
    cr_assert(strstr(h.text, "not known whether it was done") != NULL, "%s", h.text);
}

Test(hatchet_rpc, a_connection_that_answers_no_ping_is_dead)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, {FAKE_PING, NULL, 0}, {FAKE_END, NULL, 0}};
    heard h;
    one_call(script, (mfi_rpc_options){.ping_every = mf_milliseconds(20), .ping_timeout = mf_milliseconds(50)}, &h);
    cr_assert(eq(int, h.code, MFI_RPC_UNAVAILABLE));
    cr_assert(strstr(h.text, "no answer to a PING") != NULL, "%s", h.text);
}

Test(hatchet_rpc, frames_against_the_rules_end_the_connection)
{
    /* DATA on stream 0; a frame longer than allowed; HEADERS that no decoder can read. */
    static const fake_step bad[] = {SAY("\0\0\1\0\0\0\0\0\0" "x"), SAY("\xff\xff\xff\0\0\0\0\0\1"),
                                    SAY("\0\0\2\1\4\0\0\0\1" "\xff\xff")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, bad[i], {FAKE_END, NULL, 0}};
        heard h;
        one_call(script, (mfi_rpc_options){0}, &h);
        cr_assert(eq(int, h.st, MF_E_IO), "%zu: %s", i, h.text);
    }
}

/* ---- streams, cancel, limits ----------------------------------------------------------------------------------------- */

Test(hatchet_rpc, a_stream_gives_each_message_as_it_comes_and_is_canceled_from_outside)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, SAY(OK_HEAD DATA_HELLO), {FAKE_HOLD, NULL, 0}, SAY(DATA_HELLO),
                                {FAKE_END, NULL, 0}};
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    heard h;
    mfi_rpc_call *call = NULL;
    heard_init(&h);
    cr_assert(eq(int, mfi_rpc_begin(rpc, &(mfi_rpc_spec){.method = "/test.S/M", .open = true, .bare = true, .within = MF_FOREVER,
                                    .message = on_message, .ended = on_end, .user = &h}, &call, NULL), MF_OK));
    cr_assert(eq(int, mfi_rpc_send(call, MF_STR_LIT("more")), MF_OK));
    wait_messages(&h, 1);
    fake_h2_go(fake);
    wait_messages(&h, 2);
    mfi_rpc_cancel(call);
    wait_end(&h);
    cr_assert(eq(int, h.code, MFI_RPC_CANCELLED));
    cr_assert(eq(int, mfi_rpc_send(call, MF_STR_LIT("late")), MF_OK));
    mfi_rpc_destroy(rpc, 0);
    cr_assert(eq(int, mfi_rpc_send(call, MF_STR_LIT("later")), MF_OK));
    mfi_rpc_call_unref(call);
    fake_h2_stop(fake);
}

Test(hatchet_rpc, messages_above_their_bound_are_refused_on_either_side)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, SAY(OK_HEAD DATA_HELLO TRAILERS_OK), {FAKE_END, NULL, 0}};
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){.send_max = 4, .receive_max = 4});
    mf_error err;
    mfi_rpc_code code;
    cr_assert(eq(int, mfi_rpc_unary(rpc, "/test.S/M", MF_STR_LIT("12345"), 0, NULL, &code, &err), MF_E_TOO_BIG));
    cr_assert(eq(int, mfi_rpc_unary(rpc, "/test.S/M", MF_STR_LIT("1234"), 0, NULL, &code, &err), MF_E_TOO_BIG));
    cr_assert(eq(int, code, MFI_RPC_RESOURCE_EXHAUSTED));
    cr_assert(strstr(err.text, "a message of 5 bytes, more than the 4") != NULL, "%s", err.text);
    mfi_rpc_destroy(rpc, 0);
    fake_h2_stop(fake);
}

Test(hatchet_rpc, a_deadline_ends_a_call_that_nobody_answers)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, {FAKE_END, NULL, 0}};
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    mf_error err;
    cr_assert(eq(int, mfi_rpc_wait_up(rpc, mf_seconds(20), &err), MF_OK));
    do      /* until one was sent in its time, however long the link's thread is kept from it */
        cr_assert(eq(int, mfi_rpc_unary(rpc, "/test.S/M", MF_STR_LIT("x"), mf_milliseconds(100), NULL, NULL, &err), MF_E_TIMEOUT));
    while (strstr(err.text, "not sent in time") != NULL);
    cr_assert(strstr(err.text, "not known whether it was done") != NULL, "%s", err.text);
    mfi_rpc_destroy(rpc, 0);
    fake_h2_stop(fake);
}

/* Hours from their own ends; the stream has none. */
Test(hatchet_rpc, who_hurries_waits_for_no_answer_for_long)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, {FAKE_REQUEST, NULL, 0}, {FAKE_END, NULL, 0}};
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    heard before, stream;
    begin(rpc, &stream, MF_FOREVER);
    begin(rpc, &before, mf_minutes(300));
    mfi_rpc_hurry(rpc, mf_milliseconds(50));
    wait_end(&before);
    cr_assert(eq(int, before.st, MF_E_TIMEOUT), "%s", before.text);
    mf_error err;
    cr_assert(eq(int, mfi_rpc_unary(rpc, "/test.S/M", MF_STR_LIT("x"), mf_minutes(300), NULL, NULL, &err), MF_E_TIMEOUT), "%s", err.text);
    cr_assert(not(stream.ended));
    mfi_rpc_destroy(rpc, 0);
    cr_assert(eq(int, stream.st, MF_E_CLOSED), "%s", stream.text);
    fake_h2_stop(fake);
}

/* The first thing that is not as it should be in a child, or 0. */
static int try_in_child(mfi_rpc *rpc, mfi_rpc_call *call)
{
    mf_error err = {0};
    mfi_rpc_call *other = NULL;
    if (!mfi_rpc_is_forked(rpc))
        return 1;
    if (mfi_rpc_begin(rpc, &(mfi_rpc_spec){.method = "/test.S/M"}, &other, &err) != MF_E_FORKED)
        return 2;
    if (mfi_rpc_unary(rpc, "/test.S/M", MF_STR_LIT("x"), MF_FOREVER, NULL, NULL, &err) != MF_E_FORKED)
        return 3;
    if (mfi_rpc_wait_up(rpc, MF_FOREVER, &err) != MF_E_FORKED)
        return 4;
    if (mfi_rpc_send(call, MF_STR_LIT("x")) != MF_E_FORKED)
        return 5;
    mfi_rpc_send_end(call);
    mfi_rpc_cancel(call);
    mfi_rpc_poke(rpc);
    mfi_rpc_hurry(rpc, 0);
    mfi_rpc_call_unref(call);
    mfi_rpc_destroy(rpc, 0);
    return 0;
}

Test(hatchet_rpc, a_child_of_fork_is_refused_and_its_parents_call_goes_on)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, {FAKE_HOLD, NULL, 0}, SAY(OK_HEAD DATA_HELLO TRAILERS_OK),
                                {FAKE_END, NULL, 0}};
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    heard h;
    mfi_rpc_call *call = NULL;
    mf_error err;
    heard_init(&h);
    cr_assert(eq(int, mfi_rpc_begin(rpc, &(mfi_rpc_spec){.method = "/test.S/M", .open = true, .request = MF_STR_LIT("x"),
                                    .within = mf_seconds(60), .message = on_message, .ended = on_end, .user = &h}, &call, NULL), MF_OK));
    cr_assert(eq(int, mfi_rpc_wait_up(rpc, mf_seconds(20), &err), MF_OK), "%s", err.text);
    threads_rest();
    pid_t child = fork();
    if (child == 0)
        _exit(try_in_child(rpc, call));
    int how = -1;
    cr_assert(eq(int, waitpid(child, &how, 0), child));
    cr_assert(eq(int, how, 0), "the child: %d", WEXITSTATUS(how));
    mfi_rpc_send_end(call);
    fake_h2_go(fake);
    wait_end(&h);
    cr_assert(eq(int, h.code, MFI_RPC_OK), "%s", h.text);
    cr_assert(eq(uint, fake_h2_connections(fake), 1));
    mfi_rpc_call_unref(call);
    mfi_rpc_destroy(rpc, 0);
    fake_h2_stop(fake);
}

Test(hatchet_rpc, destroying_ends_every_call_with_closed)
{
    const fake_step script[] = {SAY(SETTINGS), {FAKE_REQUEST, NULL, 0}, {FAKE_END, NULL, 0}};
    const fake_step *scripts[] = {script};
    fake_h2 *fake = fake_h2_start(scripts, 1);
    mfi_rpc *rpc = connect_to(fake, (mfi_rpc_options){0});
    heard h;
    begin(rpc, &h, mf_seconds(20));
    mfi_rpc_destroy(rpc, 0);
    cr_assert(h.ended);
    cr_assert(eq(int, h.st, MF_E_CLOSED), "%s", h.text);
    fake_h2_stop(fake);
}

Test(hatchet_rpc, the_token_is_checked_and_never_repeated)
{
    mfi_rpc *rpc = NULL;
    mf_error err;
    cr_assert(eq(int, mfi_rpc_create(&(mfi_rpc_options){.host = "127.0.0.1", .port = 1, .token = "secret\n"}, &rpc, &err), MF_E_INVALID));
    cr_assert(strstr(err.text, "secret") == NULL);
}
