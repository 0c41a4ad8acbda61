/* The simulator for somebody's own flow: it finds what is wrong, names the seed, and does the same again. */
#include "kit_support.h"

#include <stdio.h>

typedef struct shop {
    unsigned charged, mailed;       /* how often the tasks ran */
    unsigned schedules, checks, starts;
    bool     forgetful;             /* charges again whenever it runs again */
    bool     paid;                  /* the effect outside */
    char     broken[200];           /* the line of the trace that says so */
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
    s->lines++;
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
    is_status(mf_sim_run(MF_SIM_OPTIONS(.seeds = 1, .declare = declare_nothing, .start = start, .user = &s), &err),
              MF_E_TASK_FAILED);
    is_text(err.text, "seed 1: a process cannot begin: not today (again with .first = 1, .seeds = 1)");
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
