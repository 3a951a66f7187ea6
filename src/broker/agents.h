/* Agents' connections: WebSockets on the loop, each a numbered link of the core. Messages in are
 * decoded and become events; messages out are encoded, and an ASSIGN gets its job's payload: from
 * the cache, else from the store on one of libuv's workers, while what follows on that link waits
 * its turn. Whoever says something that cannot be understood is told so and closed; the core sees
 * only that it left. */
#ifndef EMP_BROKER_AGENTS_H
#define EMP_BROKER_AGENTS_H

#include "base/arena.h"
#include "base/map.h"
#include "base/slab.h"
#include "core/core.h"

#include <stdint.h>
#include <uv.h>

enum {
    EMP_AGENTS_HELLO_MS = 10000, /* to say HELLO after connecting */
    EMP_AGENTS_MAX = 20000,
};

struct emp_broker;
struct emp_batch;
struct emp_agent_link;

struct emp_agents {
    struct emp_arena arena; /* of slab and map */
    struct emp_slab slab;
    struct emp_map by_link;       /* link -> number in the slab */
    struct emp_agent_link *links; /* all, newest first */
    struct emp_arena scratch;     /* one message in */
    struct emp_buf out;           /* one message out */
    emp_link last;
    uint32_t count, max, loads; /* loads: payloads being read */
    uint64_t messages, bad;
    uv_timer_t hello;
};

int emp_agents_init(struct emp_broker *b);
void emp_agents_release(struct emp_broker *b);

/* Takes over a socket that has become a WebSocket, with bytes already read (copied). */
void emp_agents_adopt(struct emp_broker *b, int fd, const void *extra, size_t extra_len);

/* A released SEND or CLOSE. `batch` is where the message's strings live. An unknown link has closed
 * already: nothing happens. */
void emp_agents_send(struct emp_broker *b, struct emp_batch *batch, emp_link link,
                     const struct emp_message *m);
void emp_agents_close(struct emp_broker *b, emp_link link, struct emp_str reason);

/* The broker ends: all agents are told to come back later; `count` falls to 0 as they have closed.
 */
void emp_agents_close_all(struct emp_broker *b);

#endif
