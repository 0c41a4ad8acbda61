/* The engine as C tests have it: one for all tests of a program, and one of a test's own that stops and comes back. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hatchet_engine.h"

static hatchet_engine own;

static void stop(void)
{
    hatchet_engine_stop(&own);
}

TestSuite(hatchet_engine, .fini = stop, .timeout = 240);

/* What an HTTP/2 server answers to a client's greeting: the type of its first frame, 4 for SETTINGS. -1: nobody is there. */
static int first_frame(const char *address)
{
    static const char greeting[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    unsigned char header[9];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int type = -1;
    if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0) {
        cr_assert(eq(long, send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL), (long)sizeof greeting - 1));
        cr_assert(eq(long, recv(fd, header, sizeof header, MSG_WAITALL), (long)sizeof header));
        type = header[3];
    } else {
        cr_assert(eq(int, errno, ECONNREFUSED));
    }
    close(fd);
    return type;
}

Test(hatchet_engine, all_tests_of_a_program_find_one_in_their_environment)
{
    const char *token = getenv("HATCHET_CLIENT_TOKEN");
    cr_assert(eq(int, first_frame(getenv("HATCHET_CLIENT_HOST_PORT")), 4));
    cr_assert(token != NULL && strncmp(token, "ey", 2) == 0);
    cr_assert(eq(str, getenv("HATCHET_CLIENT_TLS_STRATEGY"), "none"));
}

Test(hatchet_engine, one_that_stops_comes_back_where_it_was)
{
    char grpc[sizeof own.grpc], database[sizeof own.database];
    hatchet_engine_start(&own);
    strcpy(grpc, own.grpc);
    strcpy(database, own.database);
    cr_assert(eq(int, first_frame(grpc), 4));
    hatchet_engine_do(&own, "stop");
    cr_assert(eq(int, own.engine, 0));
    cr_assert(eq(int, first_frame(grpc), -1));
    hatchet_engine_do(&own, "start");
    cr_assert(eq(int, first_frame(grpc), 4));
    cr_assert(eq(str, own.database, database));
    hatchet_engine_do(&own, "kill");
    cr_assert(eq(int, first_frame(grpc), -1));
    hatchet_engine_do(&own, "fresh");
    cr_assert(eq(str, own.grpc, grpc));
    cr_assert(ne(str, own.database, database));
    cr_assert(eq(int, first_frame(grpc), 4));
}

Test(hatchet_engine, stopping_leaves_no_process_and_no_file)
{
    hatchet_engine_start(&own);
    pid_t engine = own.engine, postgres = own.postgres;
    cr_assert(eq(int, kill(engine, 0), 0));
    cr_assert(eq(int, access(own.log, F_OK), 0));
    hatchet_engine_stop(&own);
    cr_assert(eq(int, kill(engine, 0), -1));
    cr_assert(eq(int, kill(postgres, 0), -1));
    cr_assert(eq(int, access(own.log, F_OK), -1));
    hatchet_engine_stop(&own);      /* twice does no harm */
}
