/* Agents for `emp bench`: each a real WebSocket to the broker that speaks the real protocol by
 * proto/'s encoder and decoder, and does every job at once: `started` and `completed` follow
 * `assign` without a pause. Masked with the key 0, which spares this side the work and the
 * broker none. */
#ifndef EMP_CLI_BENCH_AGENTS_H
#define EMP_CLI_BENCH_AGENTS_H

#include "base/arena.h"
#include "cli/bench_load.h"
#include "domain/message.h"

struct emp_bench_agent {
    struct emp_load_peer peer; /* first */
    struct emp_bench_agents *all;
    uint32_t number;
    bool upgraded;
};

struct emp_bench_agents {
    struct emp_load *load;
    struct emp_bench_agent *agents;
    uint32_t count, slots;
    uint64_t welcomed;     /* agents that the broker has taken */
    uint64_t assigned;     /* jobs received */
    uint64_t acknowledged; /* reports that are durable */
    int64_t assigned_at;   /* when the last job came, on the scale of emp_mono_us */
    int64_t beat_us, beaten_at;
    struct emp_arena scratch;
    struct emp_buf message, frames;
};

struct emp_bench_agents_options {
    const struct sockaddr *address;
    socklen_t address_len;
    const char *token; /* NULL: none */
    const char *pool;
    uint32_t count, slots; /* agents, and jobs that each takes at once */
};
/* Connects them; they are taken when `welcomed` is `count`, some turns later. */
int emp_bench_agents_open(struct emp_bench_agents *a, struct emp_load *load,
                          const struct emp_bench_agents_options *o, struct emp_error *err);
void emp_bench_agents_beat(struct emp_bench_agents *a); /* when it is time; call it every turn */
void emp_bench_agents_close(struct emp_bench_agents *a);

#endif
