/* A client of the broker's API, blocking: one request after the other, on the main thread. */
#ifndef EMP_CLI_CLIENT_H
#define EMP_CLI_CLIENT_H

#include "base/error.h"
#include "base/str.h"
#include "cli/cli.h"
#include "net/http_client.h"
#include "proto/json.h"

enum {
    EMP_CLIENT_OUTPUT_MAX = 256 * 1024 * 1024, /* of what one command prints at once */
    EMP_CLIENT_TIMEOUT_MS = 30000,
    EMP_CLIENT_STALL_MS = 45000, /* of an event stream, which says something every 15 s */
};

struct emp_client {
    const struct emp_cli *cli;
    char url[1024];  /* http://HOST:PORT, no slash at the end */
    const char *key; /* EMP_API_KEY; NULL: none */
};

struct emp_reply {
    struct emp_http_response http;
    struct emp_arena arena;
    struct emp_json *json; /* borrows from http.body and arena; NULL: none came */
};

/* --broker, EMP_BROKER, or the default. EMP_E_INVALID when it is no http(s) URL. */
int emp_client_open(struct emp_client *c, const struct emp_cli *cli, struct emp_error *err);

/* One request; `path` with its query, already escaped; `body` NULL: none, else JSON;
 * `idempotency_key` NULL: no such header. 0 with a 2xx reply; else the error the broker told (its
 * code and text), EMP_E_NET when it cannot be reached. Release `reply` in both cases. With --json
 * the body of a refusal goes to stdout, too. */
int emp_client_call(struct emp_client *c, const char *method, const char *path,
                    const struct emp_str *body, const char *idempotency_key,
                    struct emp_reply *reply, struct emp_error *err);
void emp_reply_release(struct emp_reply *reply);

/* GET of "<prefix><escaped id><suffix>". */
int emp_client_get(struct emp_client *c, const char *prefix, const char *id, const char *suffix,
                   struct emp_reply *reply, struct emp_error *err);
/* Likewise with any method, and a body (JSON text; NULL: none). */
int emp_client_send(struct emp_client *c, const char *method, const char *prefix, const char *id,
                    const char *suffix, const char *body, struct emp_reply *reply,
                    struct emp_error *err);

/* Prints the reply's text as it came, with a newline. */
int emp_client_print_json(const struct emp_reply *reply, struct emp_error *err);

/* Follows an event stream (text/event-stream) until `event` returns false, or the stream ends.
 * `data` is one event's data, NUL-terminated. 0 when it ended; EMP_E_NET when it broke; the
 * broker's refusal as in _call. */
int emp_client_follow(struct emp_client *c, const char *path,
                      bool (*event)(void *arg, const char *name, const char *data), void *arg,
                      struct emp_error *err);

#endif
