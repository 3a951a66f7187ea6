/* A server of model files, and a taker of uploads, that misbehaves as it is told: the first part of
 * a request's path names the behaviour (a row of a test's own table), the rest is for the test. One
 * thread; one connection after the other, closed after each answer. What it was asked is written
 * down: "well from 0; breaks from 65536". */
#ifndef EMP_TEST_AGENT_ORIGIN_H
#define EMP_TEST_AGENT_ORIGIN_H

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

struct origin_request {
    char method[8], path[256]; /* without the behaviour's name */
    int64_t from;              /* of the Range; -1: none */
    char if_range[64];
    char head[4096];
    char *body; /* NUL-terminated */
    size_t body_len;
    int nth; /* how often this behaviour was asked before */
};

struct origin_act {
    const char *name;
    void (*serve)(void *arg, int fd, const struct origin_request *r);
    int asked;
};

struct origin {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    struct emp_buf story;
    struct origin_act *acts; /* ended by a NULL name */
    void *arg;
    atomic_bool over;
};

void origin_start(struct origin *o, struct origin_act *acts, void *arg);
void origin_stop(struct origin *o);
const char *origin_story(struct origin *o, struct place *p);
struct emp_str origin_url(struct origin *o, struct place *p, const char *behaviour_and_path);

void origin_say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void origin_send(int fd, const void *bytes, size_t len);
void origin_hold(int fd); /* until the other side has had enough */

#endif
