/* support/hatchet_main.c: the main of a Criterion program whose tests share one Hatchet engine.
 *
 * They find it in the environment, which is that of Hatchet's SDKs: HATCHET_CLIENT_TOKEN, _HOST_PORT, _SERVER_URL and
 * _TLS_STRATEGY. Where there can be no engine the program says "skipped: why" and ends with 77.
 *
 * HATCHET_PART=2/4 takes of its tests, in their order, each fourth from the second on. The engine goes on asking its database about
 * each action that it ever heard of, about once a second: one that has seen those of hundreds of tests does nothing else.
 *
 * All of it stands in main itself: in the process of each test Criterion writes a jump over the first bytes of main, and behind
 * a short one another function would be hit.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hatchet_engine.h"

static int skip(const char *why)
{
    if (strstr(why, "no Hatchet engine") == NULL && strstr(why, "no PostgreSQL") == NULL) {
        fprintf(stderr, "the engine does not start: %s\n", why);
        return 1;
    }
    printf("skipped: %s\n", why);
    return 77;
}

static bool take_part(struct criterion_test_set *tests, const char *part)
{
    unsigned which, of, count = 0;
    if (part == NULL)
        return true;
    if (sscanf(part, "%u/%u", &which, &of) != 2 || which == 0 || which > of)
        return false;
    FOREACH_SET(struct criterion_suite_set *suite, tests->suites) {
        if (suite->tests == NULL)
            continue;
        FOREACH_SET(struct criterion_test *test, suite->tests)
            if (count++ % of != which - 1)
                test->data->disabled = true;
    }
    return true;
}

int main(int argc, char **argv)
{
    hatchet_engine e = {0};
    struct criterion_test_set *tests = criterion_initialize();
    int code = 0;
    if (!take_part(tests, getenv("HATCHET_PART"))) {
        fprintf(stderr, "HATCHET_PART: expected one like 2/4\n");
        code = 2;
    } else if (criterion_handle_args(argc, argv, true)) {
        const char *why = hatchet_engine_try(&e);
        if (why != NULL) {
            code = skip(why);
        } else {
            setenv("HATCHET_CLIENT_TOKEN", e.token, 1);
            setenv("HATCHET_CLIENT_HOST_PORT", e.grpc, 1);
            setenv("HATCHET_CLIENT_SERVER_URL", e.api, 1);
            setenv("HATCHET_CLIENT_TLS_STRATEGY", "none", 1);
            code = !criterion_run_all_tests(tests);
            hatchet_engine_stop(&e);
        }
    }
    criterion_finalize(tests);
    return code;
}
