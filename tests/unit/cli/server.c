#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads one request, whole, into `text`; 0 when there is none. */
static size_t read_request(int fd, char *text, size_t max)
{
    size_t len = 0, need = 0;
    while (len + 1 < max) {
        ssize_t n = read(fd, text + len, max - 1 - len);
        if (n <= 0)
            return 0;
        len += (size_t)n;
        text[len] = 0;
        char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
        if (!end)
            continue;
        need = (size_t)(end + 4 - text);
        if (length && length < end)
            need += strtoul(length + 17, NULL, 10);
        if (len >= need)
            return len;
    }
    return 0;
}

static const struct answer *find(struct server *s, const char *request)
{
    const struct answer *last = NULL;
    int i, first = -1, nth = 0;
    for (i = 0; s->answers[i].request; i++) {
        size_t n = strlen(s->answers[i].request);
        if (strncmp(s->answers[i].request, request, n) != 0 || !strchr(" ?", request[n]))
            continue;
        first = first < 0 ? i : first;
        last = &s->answers[i];
        if (nth++ == s->hits[first])
            break;
    }
    if (first >= 0)
        s->hits[first]++;
    return last;
}

static void serve_one(struct server *s, int fd)
{
    static const struct answer none = {
        .request = "",
        .status = 404,
        .body = "{\"success\":false,\"error\":\"no such page\",\"code\":\"not_found\"}"};
    char *text = malloc(SERVER_LOG_MAX);
    size_t len = read_request(fd, text, SERVER_LOG_MAX);
    const struct answer *a = len ? find(s, text) : NULL;
    if (len && strlen(s->log) + len + 2 < sizeof s->log)
        strcat(strcat(s->log, text), "\n");
    if (len) {
        a = a ? a : &none;
        dprintf(fd,
                "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
                "close\r\n\r\n%s",
                a->status, a->type ? a->type : "application/json", strlen(a->body), a->body);
    }
    free(text);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    for (int fd; (fd = accept(s->listener, NULL, NULL)) >= 0; close(fd))
        serve_one(s, fd);
    return NULL;
}

void server_start(struct server *s, const struct answer *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    memset(s, 0, sizeof *s);
    s->answers = answers;
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s->listener, (struct sockaddr *)&address, len) < 0 || listen(s->listener, 16) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &len) < 0 ||
        pthread_create(&s->thread, NULL, serve, s) != 0)
        abort();
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

void server_stop(struct server *s)
{
    shutdown(s->listener, SHUT_RDWR); /* wakes accept */
    pthread_join(s->thread, NULL);
    close(s->listener);
}
