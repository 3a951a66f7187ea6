/* The agent's connection to its broker: one outbound WebSocket to URL/ws/agent, opened again
 * whenever it is lost, for as long as the agent lives.
 *
 * Pauses between tries double, with jitter: in the first minute after a loss from 50 ms to 2 s, so
 * that a broker that restarts finds its agents back at once; afterwards up to 30 s, so that a fleet
 * does not hammer a broker that is gone for long. A connection that did not last (refused for now,
 * or taken over by another agent of the same identity) is no fresh start: the pauses go on growing.
 *
 * On the loop's thread. Callbacks never come from inside a function called here. */
#ifndef EMP_AGENT_LINK_H
#define EMP_AGENT_LINK_H

#include "base/error.h"
#include "base/random.h"
#include "base/str.h"
#include "base/time.h"
#include "domain/message.h"
#include "net/ws_client.h"

struct emp_link_options {
    uv_loop_t *loop;
    struct emp_http_client *http;
    const char *url;   /* ws:// or wss://, without a path */
    const char *token; /* NULL: none */
    void *arg;
    void (*up)(void *arg);
    void (*down)(void *arg);
    void (*text)(void *arg, const char *text, size_t len); /* a message, borrowed */
    /* The broker refuses this agent's token, and has never taken it: no repetition can help. */
    void (*refused)(void *arg, const struct emp_error *err);
};

struct emp_agent_link {
    struct emp_link_options o;
    char *address; /* with the path */
    struct emp_random random;
    uv_timer_t timer;
    struct emp_ws_dial *dial;
    struct emp_ws *ws;
    struct emp_buf out;
    emp_mono_ms up_at, lost_at;
    int64_t pause_ms;
    int failed_code; /* of the last try; 0: it succeeded */
    bool was_up;     /* ever */
    bool closing;
    void (*closed)(void *arg);
};

/* Options are copied, their strings borrowed. 0 or EMP_E_INVALID. */
int emp_agent_link_start(struct emp_agent_link *l, const struct emp_link_options *o,
                         struct emp_error *err);
/* Dropped while it is down. */
void emp_agent_link_send(struct emp_agent_link *l, const struct emp_message *m);
void emp_agent_link_reconnect(struct emp_agent_link *l, const char *reason);
/* For good, after what was sent has left; then closed(o.arg), and the memory is free to go. */
void emp_agent_link_close(struct emp_agent_link *l, void (*closed)(void *arg));

#endif
