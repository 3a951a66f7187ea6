#include "origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_S = 30 };

void origin_send(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; // the other side has had enough
        p += n;
        len -= (size_t)n;
    }
}

void origin_say(int fd, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    origin_send(fd, text, (size_t)n);
}

void origin_hold(int fd)
{
    char c;
    while (recv(fd, &c, 1, 0) > 0)
        continue;
}

static const char *header(const struct origin_request *r, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(r->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            return line + 2 + len + 1 + strspn(line + 2 + len + 1, " ");
    return NULL;
}

static bool read_body(int fd, struct origin_request *r, const char *rest, size_t rest_len)
{
    const char *length = header(r, "content-length");
    size_t want = length ? (size_t)strtoull(length, NULL, 10) : 0;
    r->body = calloc(1, want + 1);
    r->body_len = rest_len < want ? rest_len : want;
    memcpy(r->body, rest, r->body_len);
    if (want && header(r, "expect"))
        origin_say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    while (r->body_len < want) {
        ssize_t n = recv(fd, r->body + r->body_len, want - r->body_len, 0);
        if (n <= 0)
            return false;
        r->body_len += (size_t)n;
    }
    return true;
}

static bool read_request(int fd, struct origin_request *r)
{
    size_t len = 0;
    char *end = NULL;
    memset(r, 0, sizeof *r);
    r->from = -1;
    while (!end) {
        ssize_t n = recv(fd, r->head + len, sizeof r->head - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        r->head[len] = '\0';
        end = strstr(r->head, "\r\n\r\n");
    }
    const char *rest = end + 4;
    size_t rest_len = (size_t)(r->head + len - rest);
    sscanf(r->head, "%7s %255s", r->method, r->path);
    const char *range = header(r, "range"), *if_range = header(r, "if-range");
    if (range)
        sscanf(range, "bytes=%ld-", &r->from);
    if (if_range)
        snprintf(r->if_range, sizeof r->if_range, "%.*s", (int)strcspn(if_range, "\r"), if_range);
    return read_body(fd, r, rest, rest_len);
}

static void serve(struct origin *o, int fd)
{
    struct origin_request r;
    struct timeval limit = {.tv_sec = PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (read_request(fd, &r)) {
        size_t len = strcspn(r.path + 1, "/");
        struct origin_act *a = o->acts;
        while (a->name && (strlen(a->name) != len || strncmp(a->name, r.path + 1, len) != 0))
            a++;
        memmove(r.path, r.path + 1 + len, strlen(r.path + 1 + len) + 1);
        pthread_mutex_lock(&o->lock);
        emp_buf_printf(&o->story, "%s%s", o->story.len ? "; " : "", a->name ? a->name : "nobody");
        if (r.from >= 0)
            emp_buf_printf(&o->story, " from %ld", r.from);
        pthread_mutex_unlock(&o->lock);
        r.nth = a->asked++;
        if (a->name)
            a->serve(o->arg, fd, &r);
        else
            origin_say(fd,
                       "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    free(r.body);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void *run(void *arg)
{
    struct origin *o = arg;
    int fd;
    while ((fd = accept4(o->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (atomic_load(&o->over)) {
            close(fd);
            break;
        }
        serve(o, fd);
    }
    return NULL;
}

void origin_start(struct origin *o, struct origin_act *acts, void *arg)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    memset(o, 0, sizeof *o);
    o->acts = acts;
    o->arg = arg;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pthread_mutex_init(&o->lock, NULL);
    emp_buf_init(&o->story, 1 << 20);
    o->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(o->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(o->listener, 64), 0);
    assert_int_equal(getsockname(o->listener, (struct sockaddr *)&a, &len), 0);
    o->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&o->thread, NULL, run, o), 0);
}

void origin_stop(struct origin *o)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(o->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    atomic_store(&o->over, true);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); // wakes it
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    pthread_join(o->thread, NULL);
    close(fd);
    close(o->listener);
    emp_buf_release(&o->story);
    pthread_mutex_destroy(&o->lock);
}

const char *origin_story(struct origin *o, struct place *p)
{
    pthread_mutex_lock(&o->lock);
    const char *text = emp_arena_printf(&p->arena, "%s", o->story.data ? o->story.data : "");
    pthread_mutex_unlock(&o->lock);
    return text;
}

struct emp_str origin_url(struct origin *o, struct place *p, const char *behaviour_and_path)
{
    return emp_str_z(
        emp_arena_printf(&p->arena, "http://127.0.0.1:%u/%s", o->port, behaviour_and_path));
}
