/* notify.c: the protocol of sd_notify: one datagram of lines to the socket that NOTIFY_SOCKET names.
 *
 * Of libsystemd only this would be used, and the command would bring a library of 900 KB, with its own dependencies, to every
 * machine without systemd. The protocol is these few lines, and promised not to change (sd_notify(3), "Notes"). */
#include "worker.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_tell(const char *fmt, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    /* "@name" is a socket in the abstract namespace, whose name begins with NUL. */
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
        return;
    size_t len = strlen(path);
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0';

    char text[1024];
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (size < 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Who does not listen has lost the word; a worker goes on. */
    (void)!sendto(fd, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1, MSG_NOSIGNAL, (struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

double notify_watchdog(void)
{
    const char *span = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (span == NULL || getenv("NOTIFY_SOCKET") == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    double us = strtod(span, NULL);
    return us > 0 ? us / 2e6 : 0;
}
