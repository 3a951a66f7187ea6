/* What the broker says of itself. */
#include "broker/api.h"
#include "broker/look.h"
#include "broker/metrics.h"
#include "domain/message.h"
#include "os/clock.h"

#include <stdio.h>
#include <unistd.h>

void emp_api_health(const struct emp_call *c)
{
    struct emp_buf body;
    struct emp_writer w;

    emp_buf_init(&body, 1024);
    emp_writer_init(&w, &body);
    emp_write_object(&w, NULL);
    emp_write_z(&w, "status", "ok");
    emp_api_end_success(&w);
    emp_answer_json(&c->peer, 200, &body);
}

void emp_api_ready(const struct emp_call *c)
{
    struct emp_error err;
    struct emp_buf body;
    struct emp_writer w;

    if (emp_broker_accepts(c->peer.broker, true, &err) < 0) {
        err.code = EMP_E_UNAVAILABLE; /* whatever the reason: what load balancers look for is 503 */
        emp_answer_error(&c->peer, &err);
        return;
    }
    emp_api_begin_success(&w, &body);
    emp_write_z(&w, "status", "ready");
    emp_api_end_success(&w);
    emp_answer_json(&c->peer, 200, &body);
}

void emp_api_version(const struct emp_call *c)
{
    struct emp_broker *b = c->peer.broker;
    struct emp_buf body;
    struct emp_writer w;

    emp_api_begin_success(&w, &body);
    emp_write_z(&w, "name", "emp");
    emp_write_z(&w, "description", "job queue for generative AI on rented GPU machines");
    emp_write_z(&w, "version", EMP_VERSION);
    emp_write_z(&w, "api_version", "1");
    emp_write_i64(&w, "protocol_version", EMP_PROTOCOL_VERSION);
    emp_write_z(&w, "store", emp_store_backend(b->store));
    emp_write_ms(&w, "uptime_seconds", emp_mono_now() - b->started_at);
    emp_api_end_success(&w);
    emp_answer_json(&c->peer, 200, &body);
}

/* ------------------------------------------------------------------ metrics */

static uint64_t resident_bytes(void)
{
    unsigned long long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &all, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void fill_plan(const struct emp_planning *p, struct emp_metrics *m)
{
    m->plan_us = (uint64_t)p->took_us;
    if (p->last == NULL)
        return;
    const struct emp_place_plan *plan = &p->last->result.plan;
    m->score = p->last->result.score;
    for (uint32_t i = 0; i < plan->want_count; i++)
        m->plan_wanted += plan->wants[i].tier > EMP_RESIDENCY_NONE;
    for (uint32_t i = 0; i < plan->move_count; i++)
        m->plan_fetches += plan->moves[i].kind == EMP_PLACE_FETCH;
}

static void fill(struct emp_broker *b, struct emp_metrics *m)
{
    *m = (struct emp_metrics){
        .up_seconds = (double)(emp_mono_now() - b->started_at) / 1000,
        .ready = atomic_load(&b->ready) && !atomic_load(&b->stopping),
        .failing = emp_committer_failing(b->committer) != 0,
        .core_steps = b->loop.steps,
        .payload_hits = b->payloads.hits,
        .payload_misses = b->payloads.misses,
        .event_streams = b->events.count,
        .links = b->agents.count,
        .messages = b->agents.messages,
        .messages_bad = b->agents.bad,
        .artifact_bytes = atomic_load(&b->bytes_uploaded),
        .resident_bytes = resident_bytes(),
    };
    for (size_t i = 0; i < sizeof m->responses / sizeof *m->responses; i++)
        m->responses[i] = atomic_load(&b->requests[i]);
    emp_core_stats(b->core, &m->core);
    emp_committer_stats(b->committer, &m->commit);
    emp_store_stats(b->store, &m->store);
    fill_plan(&b->planning, m);
}

static void metrics_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_core_pool *pools;
    struct emp_metrics m;
    uint32_t count = emp_core_pools(b->core, &l->op.arena, &pools);
    struct emp_pool_metric *rows = emp_arena_array(&l->op.arena, struct emp_pool_metric, count);

    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct emp_pool_metric){pools[i].pool->name, pools[i].machines,
                                           pools[i].slots,      pools[i].busy,
                                           pools[i].pending,    pools[i].running};
    fill(b, &m);
    emp_metrics_write(&l->body, &m, rows, count);
}

void emp_api_metrics(const struct emp_call *c)
{
    emp_look_post(c, metrics_look, "text/plain; version=0.0.4; charset=utf-8");
}
