/* cmocka with what it needs first; a plain blocking socket client, for what no proper client would
 * send. */
#ifndef EMP_TEST_NET_CHECK_H
#define EMP_TEST_NET_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static inline int dial(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {.tv_sec = 10};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static inline void say(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; // the other side has had enough
        bytes += n;
        len -= (size_t)n;
    }
}

/* Until the other side closes, NUL-terminated, from malloc. */
static inline char *hear_all(int fd, size_t *ret_len)
{
    size_t len = 0, cap = 65536;
    char *text = malloc(cap + 1);
    ssize_t n;
    while ((n = recv(fd, text + len, cap - len, 0)) > 0) {
        len += (size_t)n;
        if (len == cap)
            text = realloc(text, (cap *= 2) + 1);
    }
    text[len] = '\0';
    if (ret_len)
        *ret_len = len;
    return text;
}

/* One request on a connection of its own; the whole answer, from malloc. */
static inline char *ask(uint16_t port, const char *request)
{
    int fd = dial(port);
    say(fd, request, strlen(request));
    char *answer = hear_all(fd, NULL);
    close(fd);
    return answer;
}

static inline void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

#endif
