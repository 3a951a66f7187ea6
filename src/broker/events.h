/* GET /api/jobs/:id/events: streams of one job's changes of state and progress, until it has ended.
 * On the loop.
 *
 * A stream starts with the state that the store has, read on a worker after the stream was
 * registered; notices that come meanwhile are held, and those that the state has overtaken are
 * dropped: so nothing is missed, and nothing is told twice or backwards. */
#ifndef EMP_BROKER_EVENTS_H
#define EMP_BROKER_EVENTS_H

#include "base/arena.h"
#include "base/map.h"
#include "base/slab.h"
#include "core/core.h"

#include <uv.h>

enum {
    EMP_EVENTS_BEAT_MS = 15000,
    EMP_EVENTS_BUFFER_MAX = 1024 * 1024, /* that may wait for a slow reader */
    EMP_EVENTS_HELD_MAX = 256 * 1024,    /* while the first state is read */
};

struct emp_broker;
struct emp_http_stream;
struct emp_event_stream;

struct emp_events {
    struct emp_arena arena;
    struct emp_slab slab;
    struct emp_map by_job;            /* job -> number of its first stream in the slab */
    struct emp_event_stream *streams; /* all */
    struct emp_buf out;
    uint32_t count, loads; /* loads: first states being read */
    uv_timer_t beat;
};

int emp_events_init(struct emp_broker *b);
void emp_events_release(struct emp_broker *b);

/* Registers a stream, which it takes over. */
void emp_events_open(struct emp_broker *b, struct emp_http_stream *http, emp_job_num job);
void emp_events_notice(struct emp_broker *b, const struct emp_notice *n);
void emp_events_close_all(struct emp_broker *b);

#endif
