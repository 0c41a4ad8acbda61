/* The simulator for somebody's own flow: it finds what is wrong, names the seed, and does the same again. */
#include "kit_support.h"

#include <mageflow/control.h>

#include <stdio.h>

typedef struct shop {
    unsigned charged, mailed;       /* how often the tasks ran */
    unsigned schedules, checks, starts;
    bool     forgetful;             /* charges again whenever it runs again */
    bool     paid;                  /* the effect outside */
    char     broken[200];           /* the line of the trace that says so */
    char     first[200];            /* and the first one */
    unsigned lines;
} shop;

static mf_status charge(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    shop *s = user;
    (void)ctx, (void)in;
    if (s->forgetful || !s->paid)
        s->charged++;
    s->paid = true;
    mf_context_sleep(ctx, mf_milliseconds(5));
    *out = mf_msg("{s:b}", "paid", 1);
    return MF_OK;
}

static mf_status mail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)ctx, (void)in, (void)out;
    ((shop *)user)->mailed++;
    return MF_OK;
}

static mf_status declare(mf_client *client, void *user, mf_error *e)
{
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "charge", .run = charge, .user = user), e);
    return st != MF_OK ? st : mf_task(client, MF_TASK_DEF(.name = "mail", .run = mail, .user = user), e);
}

static mf_run *start(mf_client *client, void *user, mf_error *e)
{
    ((shop *)user)->starts++;
    mf_signature *chain = mf_chain(client, "order", NULL, e);
    chain = mf_chain_add(chain, mf_sign(client, "charge", NULL, e), e);
    chain = mf_chain_add(chain, mf_sign(client, "mail", NULL, e), e);
    mf_run *run = mf_start(chain, NULL, e);
    mf_signature_destroy(chain);
    return run;
}

static void reset(void *user)
{
    shop *s = user;
    s->charged = s->mailed = 0;
    s->paid = false;
    s->schedules++;
}

static mf_status check(mf_client *client, const mf_key *flow, void *user, mf_error *e)
{
    shop *s = user;
    mf_counts counts;
    s->checks++;
    mf_status st = mf_count(client, flow, &counts, e);
    if (st == MF_OK && counts.status != MF_STATUS_DONE)
        return mf_fail(e, MF_E_STATE, "the order is %s", mf_signature_status_name(counts.status));
    if (st == MF_OK && (s->charged != 1 || s->mailed == 0))
        return mf_fail(e, MF_E_STATE, "charged %u times, mailed %u times", s->charged, s->mailed);
    return st;
}

static void trace(void *user, const char *line)
{
    shop *s = user;
    if (s->lines++ == 0)
        snprintf(s->first, sizeof s->first, "%s", line);
    if (strstr(line, "BROKEN") != NULL)
        snprintf(s->broken, sizeof s->broken, "%s", line);
}

Test(testing_sim_run, a_flow_that_is_right_survives)
{
    shop s = {0};
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 200, .declare = declare, .start = start, .check = check, .reset = reset,
                                        .user = &s), &err), MF_OK);
    cr_assert(all(eq(uint, s.schedules, 200), eq(uint, s.checks, 200)));
    cr_assert(gt(uint, s.starts, 200), "no schedule crashed a program before its flow was stored");
}

Test(testing_sim_run, one_that_charges_twice_is_found_and_its_seed_does_so_again)
{
    shop s = {.forgetful = true};
    char first[MF_ERROR_TEXT_MAX];
    is_status(mf_sim_run(MF_SIM_OPTIONS(.declare = declare, .start = start, .check = check, .reset = reset, .user = &s), &err),
              MF_E_TASK_FAILED);
    snprintf(first, sizeof first, "%s", err.text);
    unsigned long long seed = 0;
    cr_assert(eq(int, sscanf(err.text, "seed %llu: check: charged", &seed), 1), "%s", err.text);
    is_status(mf_sim_run(MF_SIM_OPTIONS(.first = seed, .seeds = 1, .declare = declare, .start = start, .check = check,
                                        .reset = reset, .trace = trace, .user = &s), &err), MF_E_TASK_FAILED);
    is_text(err.text, first);
    cr_assert(gt(uint, s.lines, 10));
    char begin[40];
    snprintf(begin, sizeof begin, "seed %llu: ", seed);
    cr_assert(eq(int, strncmp(s.first, begin, strlen(begin)), 0), "the trace begins with %s", s.first);
    cr_assert(ne(ptr, strstr(s.first, " fault"), NULL), "%s", s.first);
    cr_assert(ne(ptr, strstr(s.broken, "BROKEN: check: charged"), NULL), "%s", s.broken);
}

Test(testing_sim_run, without_faults_each_task_runs_once)
{
    shop s = {.forgetful = true};
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 100, .no_faults = true, .declare = declare, .start = start, .check = check,
                                        .reset = reset, .user = &s), &err), MF_OK);
    cr_assert(eq(uint, s.starts, 100));
}

static mf_run *start_nothing(mf_client *client, void *user, mf_error *e)
{
    (void)client, (void)user;
    mf_fail(e, MF_E_INVALID, "there is no order");
    return NULL;
}

static mf_run *start_without_a_reason(mf_client *client, void *user, mf_error *e)
{
    (void)client, (void)user, (void)e;
    return NULL;
}

static mf_status declare_nothing(mf_client *client, void *user, mf_error *e)
{
    (void)client, (void)user;
    return mf_fail(e, MF_E_UNSUPPORTED, "not today");
}

Test(testing_sim_run, what_fails_before_it_begins_is_told)
{
    shop s = {0};
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 1, .declare = declare, .start = start_nothing, .user = &s), &err),
              MF_E_TASK_FAILED);
    is_text(err.text, "seed 1: start: there is no order (again with .first = 1, .seeds = 1)");
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 1, .declare = declare, .start = start_without_a_reason, .user = &s), &err),
              MF_E_TASK_FAILED);
    is_text(err.text, "seed 1: start: it returned NULL, and nothing that it called had failed (again with .first = 1, .seeds = 1)");
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 1, .declare = declare_nothing, .start = start, .user = &s), &err),
              MF_E_TASK_FAILED);
    is_text(err.text, "seed 1: a process cannot begin: not today (again with .first = 1, .seeds = 1)");
}

/* ---- a task that starts a flow: by the client that runs it, whichever process that is --------------------------------- */

static mf_status send_mail(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    mf_error e = {.text = ""};
    (void)in, (void)out, (void)user;
    mf_signature *sig = mf_sign(mf_context_client(ctx), "mail", NULL, &e);
    mf_run *run = mf_start(sig, NULL, &e);
    mf_signature_destroy(sig);
    if (run == NULL)
        return mf_task_fail(ctx, MF_RETRY, "NotSent", "%s", e.text);
    mf_run_destroy(run);
    return MF_OK;
}

static mf_status declare_sending(mf_client *client, void *user, mf_error *e)
{
    mf_status st = mf_task(client, MF_TASK_DEF(.name = "send", .run = send_mail, .user = user, .retries = 9), e);
    return st != MF_OK ? st : mf_task(client, MF_TASK_DEF(.name = "mail", .run = mail, .user = user), e);
}

static mf_run *start_alone(mf_client *client, const char *task, mf_error *e)
{
    mf_signature *sig = mf_sign(client, task, NULL, e);
    mf_run *run = mf_start(sig, NULL, e);
    mf_signature_destroy(sig);
    return run;
}

static mf_run *start_sending(mf_client *client, void *user, mf_error *e)
{
    (void)user;
    return start_alone(client, "send", e);
}

static mf_status check_mailed(mf_client *client, const mf_key *flow, void *user, mf_error *e)
{
    const shop *s = user;
    (void)client, (void)flow;
    return s->mailed > 0 ? MF_OK : mf_fail(e, MF_E_STATE, "nothing was mailed");
}

static mf_status check_mailed_once(mf_client *client, const mf_key *flow, void *user, mf_error *e)
{
    const shop *s = user;
    (void)client, (void)flow;
    return s->mailed == 1 ? MF_OK : mf_fail(e, MF_E_STATE, "mailed %u times", s->mailed);
}

Test(testing_sim_run, a_task_starts_flows_with_the_client_that_runs_it)
{
    shop s = {0};
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 200, .declare = declare_sending, .start = start_sending, .check = check_mailed,
                                        .reset = reset, .user = &s), &err), MF_OK);
}

Test(testing_sim_run, a_follow_up_that_a_task_sends_itself_comes_twice_and_is_found)
{
    shop s = {0};
    is_status(mf_sim_run(MF_SIM_OPTIONS(.declare = declare_sending, .start = start_sending, .check = check_mailed_once,
                                        .reset = reset, .user = &s), &err), MF_E_TASK_FAILED);
    cr_assert(ne(ptr, strstr(err.text, ": check: mailed 2 times"), NULL), "%s", err.text);
}

/* ---- flows that do not end: what is told is the part of it that somebody forgot ------------------------------------- */

static mf_run *start_then_mail(mf_client *client, mf_signature *first, mf_error *e)
{
    mf_signature *chain = mf_chain_add(mf_chain(client, "order", NULL, e), first, e);
    chain = mf_chain_add(chain, mf_sign(client, "mail", NULL, e), e);
    mf_run *run = mf_start(chain, NULL, e);
    mf_signature_destroy(chain);
    return run;
}

static mf_run *start_an_open_swarm(mf_client *client, void *user, mf_error *e)
{
    (void)user;
    mf_signature *swarm = mf_swarm_add(mf_swarm(client, "parcels", NULL, e), mf_sign(client, "charge", NULL, e), e);
    return start_then_mail(client, swarm, e);
}

static mf_run *start_and_suspend(mf_client *client, void *user, mf_error *e)
{
    (void)user;
    mf_run *run = start_then_mail(client, mf_sign(client, "charge", NULL, e), e);
    mf_key key = run != NULL ? mf_run_key(run) : (mf_key){{0}};
    if (run != NULL && mf_suspend(client, &key, e) != MF_OK) {
        mf_run_destroy(run);
        return NULL;
    }
    return run;
}

static mf_status wait_for_ever(mf_context *ctx, const mf_message *in, mf_message **out, void *user)
{
    (void)in, (void)out, (void)user;
    while (mf_context_sleep(ctx, mf_seconds(1)) == MF_OK)
        continue;
    return MF_E_CANCELED;
}

static mf_status declare_waiting(mf_client *client, void *user, mf_error *e)
{
    return mf_task(client, MF_TASK_DEF(.name = "wait", .run = wait_for_ever, .user = user), e);
}

static mf_run *start_waiting(mf_client *client, void *user, mf_error *e)
{
    (void)user;
    return start_alone(client, "wait", e);
}

static void breaks_with(mf_run *(*begin)(mf_client *, void *, mf_error *), const char *what, const char *why)
{
    shop s = {0};
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 1, .no_faults = true, .declare = declare, .start = begin, .user = &s), &err),
              MF_E_TASK_FAILED);
    cr_assert(ne(ptr, strstr(err.text, what), NULL), "expected %s in: %s", what, err.text);
    cr_assert(ne(ptr, strstr(err.text, why), NULL), "expected %s in: %s", why, err.text);
}

Test(testing_sim_run, a_swarm_that_nobody_closes_is_named_though_it_stands_in_a_chain)
{
    breaks_with(start_an_open_swarm, "seed 1: swarm \"parcels\" (swarm-",
                ") was started and never ended: it is not closed: 1 of 1 items have ended, and nobody adds one or closes it");
}

Test(testing_sim_run, what_nobody_resumes_is_named)
{
    breaks_with(start_and_suspend, "seed 1: chain \"order\" (chain-", "it is suspended, and nobody resumes it");
}

Test(testing_sim_run, a_task_that_does_not_end_is_named)
{
    shop s = {0};
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 1, .no_faults = true, .declare = declare_waiting, .start = start_waiting, .user = &s),
                         &err), MF_E_TASK_FAILED);
    is_text(err.text, "seed 1: the schedule does not come to an end: 200000 steps; task \"wait\" runs (attempt 1) "
                      "(again with .first = 1, .seeds = 1)");
}

Test(testing_sim_run, options_have_rules)
{
    is_status(mf_sim_run(NULL, &err), MF_E_INVALID);
    is_status(mf_sim_run(&(mf_sim_options){0}, &err), MF_E_INVALID);
    is_status(mf_sim_run(MF_SIM_OPTIONS(.declare = declare), &err), MF_E_INVALID);
    is_text(err.text, "simulator: expected a function in .start, got NULL");
    is_status(mf_sim_run(MF_SIM_OPTIONS(.start = start), &err), MF_E_INVALID);
    is_status(mf_sim_run(MF_SIM_OPTIONS(.declare = declare, .start = start, .processes = 9), &err), MF_E_INVALID);
    open_test(false);
    is_status(mf_sim_run(MF_SIM_OPTIONS(.declare = declare, .start = start), &err), MF_E_STATE);
    close_test();
}
