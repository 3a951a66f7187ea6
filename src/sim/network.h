/* Connections between agents and broker, as TCP gives them: each direction keeps its order and
 * loses nothing while the connection stands; when it breaks, everything under way is gone, and each
 * end finds out on its own, the other perhaps never. A partition cuts a machine's directions one by
 * one: what is sent waits there, as retransmission does, until it heals or somebody gives up.
 *
 * Beyond what TCP allows, single messages may be lost, doubled or swapped on a standing connection
 * (settings); the brains must keep what must hold all the same, and come to an end once the
 * connection has been opened anew.
 *
 * With `encode`, every message travels as the bytes that proto/ makes of it. Links are numbered,
 * never reused. Messages are copied when sent. */
#ifndef EMP_SIM_NETWORK_H
#define EMP_SIM_NETWORK_H

#include "base/map.h"
#include "base/slab.h"
#include "core/core.h"
#include "sim/world.h"

enum emp_sim_direction { EMP_SIM_UP /* to the broker */, EMP_SIM_DOWN };

struct emp_sim_network_settings {
    int64_t delay_ms_min, delay_ms_max;   /* of a message, one way */
    int64_t notice_ms_min, notice_ms_max; /* until an end finds a dead connection out; max < 0:
                                             never by itself */
    bool encode;
    uint32_t lost, doubled, swapped; /* of 10,000 messages */
};

/* Who is at the ends. The broker's end of a link is told closed at most once, and not when it
 * closed the link itself; the agent's likewise. A message lives for the call. */
struct emp_sim_ends {
    bool (*broker_listens)(void *ctx);
    bool (*agent_listens)(void *ctx,
                          uint32_t agent); /* false: its process hangs, nothing is read */
    void (*broker_opened)(void *ctx, emp_link link, uint32_t agent);
    void (*broker_message)(void *ctx, emp_link link, const struct emp_message *m);
    void (*broker_closed)(void *ctx, emp_link link);
    void (*agent_opened)(void *ctx, uint32_t agent);
    void (*agent_refused)(void *ctx, uint32_t agent); /* could not connect */
    void (*agent_message)(void *ctx, uint32_t agent, const struct emp_message *m);
    void (*agent_closed)(void *ctx, uint32_t agent);
};

struct emp_sim_port; /* a machine's connection, and what cuts it off */
struct emp_sim_packet;
struct emp_sim_network {
    struct emp_sim_world *world;
    struct emp_sim_network_settings settings;
    const struct emp_sim_ends *ends;
    void *ctx;
    struct emp_random random;
    struct emp_arena arena;
    struct emp_sim_port **ports;
    uint32_t port_count;
    size_t port_cap;
    struct emp_slab links, packets;
    struct emp_sim_packet *spare;
    struct emp_map link_by_number;
    emp_link last;
    uint64_t messages, bytes; /* bytes: where they are encoded */
};

/* `ends` and ctx must outlive it. */
void emp_sim_network_init(struct emp_sim_network *n, struct emp_sim_world *w,
                          const struct emp_sim_network_settings *s, const struct emp_sim_ends *ends,
                          void *ctx);
void emp_sim_network_release(struct emp_sim_network *n);
void emp_sim_network_add(struct emp_sim_network *n); /* one more machine: the next number */

/* An agent connects: agent_opened or agent_refused follows. It must have no connection and none on
 * its way. */
void emp_sim_network_connect(struct emp_sim_network *n, uint32_t agent);
/* A closed or unknown link drops the message. */
void emp_sim_network_send_up(struct emp_sim_network *n, uint32_t agent,
                             const struct emp_message *m);
void emp_sim_network_send_down(struct emp_sim_network *n, emp_link link,
                               const struct emp_message *m);
/* Orderly: what was sent before still arrives. */
void emp_sim_network_agent_close(struct emp_sim_network *n, uint32_t agent);
void emp_sim_network_broker_close(struct emp_sim_network *n, emp_link link);

/* ---- faults ---- */

/* Its process is gone: the connection resets. silent: the machine is gone too, and nobody tells the
 * broker. */
void emp_sim_network_agent_gone(struct emp_sim_network *n, uint32_t agent, bool silent);
void emp_sim_network_broker_gone(struct emp_sim_network *n);
void emp_sim_network_break(struct emp_sim_network *n, uint32_t agent); /* under way is lost */
void emp_sim_network_cut(struct emp_sim_network *n, uint32_t agent, bool up, bool down);
void emp_sim_network_heal(struct emp_sim_network *n, uint32_t agent);
/* It listens no more, or again: agent_listens says so from now on. */
void emp_sim_network_sleep(struct emp_sim_network *n, uint32_t agent);
void emp_sim_network_wake(struct emp_sim_network *n, uint32_t agent);

emp_mono_ms emp_sim_network_opened_at(const struct emp_sim_network *n,
                                      emp_link link); /* 0: unknown */
bool emp_sim_network_is_cut(const struct emp_sim_network *n, uint32_t agent);
bool emp_sim_network_is_open(const struct emp_sim_network *n, uint32_t agent); /* agent's end */
uint32_t emp_sim_network_agent_of(const struct emp_sim_network *n,
                                  emp_link link); /* UINT32_MAX: unknown */

#endif
