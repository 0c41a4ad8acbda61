/* What is refused, when, and in which words. */
#include "kit.h"

static void refused(fixture *f, const void *made, mf_status st, const char *text)
{
    cr_assert(eq(ptr, (void *)made, NULL));
    is_status(f->err.status, st);
    is_text(f->err.text, text);
    memset(&f->err, 0, sizeof f->err);
}

FLOW_TEST(flow_invalid, a_wrong_type_is_refused_when_the_call_is_signed)
{
    refused(f, mf_sign(f->mage, "path", msg("{\"width\":\"wide\"}"), &f->err), MF_E_INVALID,
            "task \"path\": field \"width\": expected an integer from 1 to 100, got the string \"wide\"");
    refused(f, mf_sign(f->mage, "path", msg("{\"width\":1000}"), &f->err), MF_E_INVALID,
            "task \"path\": field \"width\": expected an integer from 1 to 100, got the integer 1000");
}

FLOW_TEST(flow_invalid, a_missing_field_is_refused_when_a_task_is_started)
{
    mf_signature *sig = sign(f, "path", "{\"width\":7}");
    refused(f, mf_start(sig, NULL, &f->err), MF_E_INVALID,
            "task \"path\": field \"path\": required, but missing");
    ends_done(f, start(f, sig, "{\"path\":\"a.png\"}"), "\"a.png\"");     /* it was not started by that */
}

FLOW_TEST(flow_invalid, a_step_that_cannot_read_its_message_fails_without_being_called)
{
    mf_signature *chain = CHAIN(f, sign(f, "note", NULL), sign(f, "path", NULL));
    ends_failed(f, start(f, chain, NULL), "InvalidMessage: field \"path\": required, but missing");
    called(f, "path", 0);
    mf_signature *wrong = CHAIN(f, sign(f, "echo", NULL), sign(f, "path", "{\"path\":\"x\"}"));
    ends_done(f, start(f, wrong, "{\"width\":0}"), "\"x\"");              /* a result is one field, not the message */
    mf_signature *kwargs = mf_chain(f->mage, "chain", msg("{\"width\":0,\"path\":\"x\"}"), &f->err);
    kwargs = mf_chain_add(mf_chain_add(kwargs, sign(f, "note", NULL), &f->err), sign(f, "path", NULL), &f->err);
    ends_failed(f, start(f, kwargs, NULL), "InvalidMessage: field \"width\": expected an integer from 1 to 100, got the integer 0");
    called(f, "path", 1);
}

FLOW_TEST(flow_invalid, a_task_nobody_declared_is_refused_with_those_that_are)
{
    mf_signature *sig = mf_sign(f->mage, "resize", NULL, &f->err);
    cr_assert(eq(ptr, sig, NULL));
    is_status(f->err.status, MF_E_UNKNOWN_TASK);
    has_text(f->err.text, "no task \"resize\" was declared; known: ");
    has_text(f->err.text, "echo");
    cr_assert(eq(ptr, strstr(f->err.text, "mageflow."), NULL));
    cr_assert(eq(ptr, mf_sign(f->mage, "mageflow.swarm_fill", NULL, &f->err), NULL));
    cr_assert(eq(ptr, mf_sign(f->mage, NULL, NULL, &f->err), NULL));
    is_status(f->err.status, MF_E_UNKNOWN_TASK);
}

FLOW_TEST(flow_invalid, messages_must_be_maps)
{
    refused(f, mf_sign(f->mage, "echo", msg("[1]"), &f->err), MF_E_TYPE,
            "task \"echo\": the message: expected a map of fields, got an array");
    refused(f, mf_chain(f->mage, "c", msg("3"), &f->err), MF_E_TYPE, "chain: expected a map of fields, got an integer");
    refused(f, mf_swarm(f->mage, "s", MF_SWARM_OPTIONS(.kwargs = msg("\"x\"")), &f->err), MF_E_TYPE,
            "swarm: expected a map of fields, got text");
    mf_signature *sig = sign(f, "echo", "null");
    refused(f, mf_start(sig, msg("true"), &f->err), MF_E_TYPE, "the message: expected a map of fields, got a boolean");
    ends_done(f, start(f, sig, "null"), "null");
}

FLOW_TEST(flow_invalid, a_message_that_could_not_be_built_is_told_by_who_receives_it)
{
    cr_assert(eq(ptr, mf_sign(f->mage, "echo", mf_msg("{oops"), &f->err), NULL));
    is_status(f->err.status, MF_E_INVALID);
    has_text(f->err.text, "task \"echo\": the message could not be built");
    mf_signature *sig = sign(f, "echo", NULL);
    cr_assert(eq(ptr, mf_start(sig, mf_msg("{oops"), &f->err), NULL));
    is_status(f->err.status, MF_E_INVALID);
    mf_signature_destroy(sig);
}

FLOW_TEST(flow_invalid, a_chain_has_two_steps_or_more)
{
    mf_signature *chain = mf_chain(f->mage, "short", NULL, &f->err);
    refused(f, mf_start(chain, NULL, &f->err), MF_E_INVALID, "chain \"short\": expected two steps or more, got 0");
    chain = mf_chain_add(chain, sign(f, "echo", NULL), &f->err);
    refused(f, mf_start(chain, NULL, &f->err), MF_E_INVALID, "chain \"short\": expected two steps or more, got 1");
    mf_signature *swarm = mf_swarm(f->mage, "swarm", NULL, &f->err);
    refused(f, mf_swarm_add(swarm, chain, &f->err), MF_E_INVALID, "chain \"short\": expected two steps or more, got 1");
}

FLOW_TEST(flow_invalid, nothing_is_added_to_a_closed_swarm)
{
    mf_signature *swarm = mf_swarm_close(mf_swarm(f->mage, "swarm", NULL, &f->err), &f->err);
    refused(f, mf_swarm_add(swarm, sign(f, "add", NULL), &f->err), MF_E_CLOSED, "mf_swarm_add: the swarm is closed");
}

FLOW_TEST(flow_invalid, nothing_is_started_twice)
{
    mf_signature *sig = sign(f, "add", NULL);
    mf_run *run = mf_start(sig, NULL, &f->err);
    cr_assert(ne(ptr, run, NULL));
    cr_assert(eq(ptr, mf_start(sig, NULL, &f->err), NULL));
    is_status(f->err.status, MF_E_STATE);
    has_text(f->err.text, "was started already");
    refused(f, mf_chain_add(mf_chain(f->mage, "c", NULL, &f->err), sig, &f->err), MF_E_STATE,
            "mf_chain_add: it was started or saved already");
    ends_done(f, run, "1");
    called(f, "add", 1);
}

FLOW_TEST(flow_invalid, null_is_passed_on_and_the_first_error_stays)
{
    mf_signature *chain = mf_chain(f->mage, "c", NULL, &f->err);
    chain = mf_chain_add(chain, sign(f, "echo", NULL), &f->err);
    chain = mf_chain_add(chain, mf_sign(f->mage, "first", NULL, &f->err), &f->err);
    chain = mf_chain_add(chain, sign(f, "echo", NULL), &f->err);
    chain = mf_on_success(chain, sign(f, "note", NULL), &f->err);
    chain = mf_on_error(chain, sign(f, "note", NULL), &f->err);
    mf_signature *swarm = mf_swarm_add(mf_swarm(f->mage, "s", NULL, &f->err), chain, &f->err);
    swarm = mf_swarm_close(swarm, &f->err);
    mf_run *run = mf_start(swarm, msg("{\"a\":1}"), &f->err);
    is_status(mf_run_wait(run, PATIENCE, NULL, &f->err), MF_E_INVALID);
    cr_assert(eq(ptr, run, NULL));
    is_status(f->err.status, MF_E_UNKNOWN_TASK);
    has_text(f->err.text, "no task \"first\" was declared");
}

FLOW_TEST(flow_invalid, what_does_not_fit_together_is_refused_and_gone)
{
    mf_signature *chain = mf_chain(f->mage, "c", NULL, &f->err);
    refused(f, mf_swarm_add(chain, sign(f, "add", NULL), &f->err), MF_E_INVALID, "mf_swarm_add: expected a swarm, got a chain");
    refused(f, mf_chain_add(sign(f, "add", NULL), sign(f, "add", NULL), &f->err), MF_E_INVALID,
            "mf_chain_add: expected a chain, got a task");
    refused(f, mf_swarm_close(sign(f, "add", NULL), &f->err), MF_E_INVALID, "mf_swarm_close: expected a swarm");
    mf_signature *self = mf_chain(f->mage, "c", NULL, &f->err);
    refused(f, mf_chain_add(self, self, &f->err), MF_E_INVALID, "mf_chain_add: a signature cannot stand in itself");
    refused(f, mf_swarm(f->mage, "s", &(mf_swarm_options){.struct_size = 0}, &f->err), MF_E_INVALID,
            "swarm: struct_size is 0; make the options with MF_SWARM_OPTIONS(...)");
}

FLOW_TEST(flow_invalid, what_options_consume_is_consumed_on_failure)
{
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    mf_signature *swarm = mf_swarm(f->mage, name,
                                   MF_SWARM_OPTIONS(.kwargs = msg("{\"a\":1}"), .on_success = sign(f, "note", NULL),
                                                    .on_error = sign(f, "note", "{\"b\":2}")), &f->err);
    refused(f, swarm, MF_E_TOO_BIG, "swarm name: expected at most 255 bytes, got 299");
    refused(f, mf_chain(f->mage, name, msg("{\"a\":1}"), &f->err), MF_E_TOO_BIG,
            "chain name: expected at most 255 bytes, got 299");
    cr_assert(eq(ptr, mf_map(f->mage, "m", "nothing", sign(f, "note", NULL),
                             MF_SWARM_OPTIONS(.kwargs = msg("{\"a\":1}"), .on_error = sign(f, "note", NULL)), &f->err), NULL));
    cr_assert(eq(ptr, mf_map(f->mage, "m", "nothing", NULL, MF_SWARM_OPTIONS(.on_error = sign(f, "note", NULL)), &f->err), NULL));
}

FLOW_TEST(flow_invalid, a_signature_never_started_is_let_go_whole)
{
    mf_signature *item = on_error(f, sign(f, "add", "{\"by\":1}"), CHAIN(f, sign(f, "echo", NULL), sign(f, "note", NULL)));
    mf_signature *swarm = SWARM(f, MF_SWARM_OPTIONS(.kwargs = msg("{\"k\":1}"), .on_success = sign(f, "note", NULL)), item);
    mf_signature_destroy(on_success(f, CHAIN(f, swarm, sign(f, "echo", NULL)), sign(f, "note", NULL)));
}
