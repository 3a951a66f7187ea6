/* A broker of paper: answers requests from a script, keeps what it was asked. One thread, one
 * connection at a time, loopback, a port that the system chooses. */
#ifndef EMP_TEST_CLI_SERVER_H
#define EMP_TEST_CLI_SERVER_H

#include <pthread.h>

/* The n-th request for a method and path gets the n-th such answer, later ones the last. `request`
 * is "GET /api/jobs". */
struct answer {
    const char *request;
    int status;
    const char *body;
    const char *type; /* NULL: application/json */
};

enum { SERVER_LOG_MAX = 65536, SERVER_HITS_MAX = 64 };

struct server {
    int listener;
    pthread_t thread;
    const struct answer *answers; /* ends with request NULL */
    int hits[SERVER_HITS_MAX];
    char log[SERVER_LOG_MAX]; /* heads and bodies, as they came */
    char url[64];
};

void server_start(struct server *s, const struct answer *answers);
void server_stop(struct server *s);

#endif
