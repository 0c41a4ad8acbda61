/* bench_task --url URL --load FILE.so TASK: a task of one's own on one's own task manager; see README.md here. Stands on the
 * public headers alone. */
#include "order.h"
#include "report.h"
#include "ways.h"

#include <stdio.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------------------------------------------------ */

/* The URL for people: without what may be a secret. */
static const char *shown_url(const char *url)
{
    static char text[256];
    const char *host = strstr(url, "://"), *at = host != NULL ? strrchr(host, '@') : NULL;
    size_t scheme = host != NULL ? (size_t)(host + 3 - url) : 0;
    snprintf(text, sizeof text, "%.*s%s", (int)scheme, url, at != NULL ? at + 1 : url + scheme);
    text[strcspn(text, "?")] = '\0';
    return text;
}

static mf_status open_all(bench *b, mf_error *err)
{
    const order *o = b->order;
    if (o->message != NULL) {
        mf_status st = mf_message_from_json(mf_cstr(o->message), NULL, NULL, &b->message, err);
        if (st != MF_OK)
            return st;
    }
    mf_status st = mf_open(o->url, MF_OPTIONS(.threads = o->threads, .call = meter_call, .call_user = &b->meter), &b->client, err);
    if (st == MF_OK)
        st = mf_load(b->client, o->load, err);
    if (st == MF_OK)
        st = mf_serve(b->client, MF_WORKER_OPTIONS(.threads = o->threads), err);
    return st;
}

/* As a signature: what the message lacks, or that there is no such task, is told here, by the name of the field. */
static mf_status try_once(bench *b, mf_error *err)
{
    mf_signature *sig = mf_sign(b->client, b->order->task, NULL, err);
    if (sig == NULL)
        return err->status;
    meter_expect(&b->meter, 1);
    mf_status st = mf_call(sig, mf_message_ref(b->message), mf_seconds(60), NULL, err);
    mf_signature_destroy(sig);
    if (st == MF_E_TIMEOUT)
        return mf_fail(err, st, "the first one did not end within 60 seconds: %s", err->text);
    return st == MF_OK ? mf_workflow_open(b->client, b->order->task, &b->workflow, err) : st;
}

/* Where nothing was opened. */
static const char *advice(const bench *b, mf_status st)
{
    bool away = b->client == NULL && (st == MF_E_IO || st == MF_E_TIMEOUT || st == MF_E_AGAIN);
    return away ? "; is the server running, and is --url right?" : "";
}

/* ---- measuring ---------------------------------------------------------------------------------------------------- */

/* How many fill a round's time. */
static mf_status find_tasks(bench *b, double round_s, unsigned long *tasks, mf_error *err)
{
    mf_status st = MF_OK;
    way_figures f;
    *tasks = b->order->tasks;
    if (*tasks > 0)
        return way_round(b, ONE_BY_ONE, *tasks, &f, err);       /* warms up */
    for (*tasks = 1; *tasks < 1000000; *tasks *= 2)
        for (int slow = 0; slow < 3; slow++) {      /* a disturbance is not believed at once */
            st = way_round(b, ONE_BY_ONE, *tasks, &f, err);
            if (st == MF_OK && f.all_ns * (double)*tasks < round_s * 1e9 / 2)
                break;
            if (st != MF_OK || slow == 2)
                return st;
        }
    return MF_OK;
}

/* Columns of one way over the rounds, as rows of a report each. */
typedef struct columns {
    report_row handed[WAYS], all[WAYS], cpu[WAYS];
    double     busy_ns;
} columns;

static mf_status run_rounds(bench *b, unsigned long tasks, columns *c, mf_error *err)
{
    mf_status st = MF_OK;
    for (int r = 0; r < (int)b->order->rounds; r++)
        for (way how = 0; st == MF_OK && how < WAYS; how++) {
            way_figures f = {0};
            st = way_round(b, how, tasks, &f, err);
            report_put(&c->handed[how], way_names[how], r, f.handed_ns);
            report_put(&c->all[how], way_names[how], r, f.all_ns);
            report_put(&c->cpu[how], way_names[how], r, f.cpu_ns);
            c->busy_ns = f.busy_ns;
        }
    return st;
}

/* ---- the report --------------------------------------------------------------------------------------------------- */

static void print_ways(const columns *c, int rounds)
{
    printf("\n| handed over | tasks a second, until all have run | least | most | µs to hand one over | CPU, µs a task |\n"
           "|---|---|---|---|---|---|\n");
    for (way how = 0; how < WAYS; how++) {
        report_summary all = report_summarize(&c->all[how], rounds);
        printf("| %s | **%.0f** | %.0f | %.0f | %.2f | %.2f |\n", way_names[how], 1e9 / all.median, 1e9 / all.max, 1e9 / all.min,
               report_summarize(&c->handed[how], rounds).median / 1e3, report_summarize(&c->cpu[how], rounds).median / 1e3);
    }
    printf("\nInside of the task's own function: %.2f µs each. CPU is this process's, without the task manager's.\n", c->busy_ns / 1e3);
}

static void print_latencies(const latencies *l)
{
    int p99 = (l->count * 99 + 99) / 100 - 1;
    printf("\n| one at a time, %d of them | p50, µs | p99 | most |\n|---|---|---|---|\n", l->count);
    printf("| until it begins | **%.1f** | %.1f | %.1f |\n", l->begins[l->count / 2], l->begins[p99], l->begins[l->count - 1]);
    printf("| until its result is back | **%.1f** | %.1f | %.1f |\n", l->result[l->count / 2], l->result[p99],
           l->result[l->count - 1]);
}

static mf_status run(bench *b, mf_error *err)
{
    static columns c;
    static latencies l;
    unsigned long tasks = 0;
    int rounds = (int)b->order->rounds;
    mf_status st = find_tasks(b, b->order->seconds * 0.8 / (rounds * WAYS), &tasks, err);
    if (st != MF_OK)
        return st;
    printf("## %s on %s\n\n", b->order->task, shown_url(b->order->url));
    report_machine("bench_task");
    printf("- mageflow %s; %lu tasks a round, %d rounds, the ways in turn; medians\n", MF_VERSION, tasks, rounds);
    fflush(stdout);
    st = run_rounds(b, tasks, &c, err);
    if (st == MF_OK)
        st = measure_latency(b, b->order->seconds * 0.2, &l, err);
    if (st != MF_OK)
        return st;
    print_ways(&c, rounds);
    print_latencies(&l);
    report_json("Until all have run", "ns per task", c.all, WAYS, rounds, REPORT_VALUES);
    report_json("To hand one over", "ns per task", c.handed, WAYS, rounds, REPORT_VALUES);
    report_json("Processor time", "ns per task", c.cpu, WAYS, rounds, REPORT_VALUES);
    return MF_OK;
}

int main(int argc, char **argv)
{
    order o;
    int code;
    mf_error err = {.text = ""};
    if (!order_read(argc, argv, &o, &code))
        return code;
    bench b = {.order = &o};
    meter_init(&b.meter);
    mf_status st = open_all(&b, &err);
    if (st == MF_OK)
        st = try_once(&b, &err);
    bool wrong = st != MF_OK;       /* before anything was measured: the command line, or what it names */
    if (st == MF_OK)
        st = run(&b, &err);
    if (st != MF_OK)
        fprintf(stderr, "bench_task: %s%s\n", err.text, advice(&b, st));
    mf_workflow_destroy(b.workflow);
    mf_client_destroy(b.client);
    mf_message_unref(b.message);
    meter_fini(&b.meter);
    return st == MF_OK ? 0 : wrong ? 2 : 1;
}
