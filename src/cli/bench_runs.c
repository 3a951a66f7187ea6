#include "cli/bench_runs.h"

#include "cli/bench_agents.h"
#include "cli/bench_http.h"
#include "os/clock.h"

#include <stdio.h>

enum {
    CUSTOMERS = 16,
    TURN_MS = 100,
    STALL_MS = 30000, /* without any progress for so long, a run has failed */
    IDLE_MS = 2,      /* between two jobs, where the broker is to be idle */
    BODY_BYTES_MAX = 1 << 20,
};

/* One run: all that it opens. */
struct emp_bench {
    const struct emp_bench_options *o;
    const struct emp_bench_broker *broker;
    struct emp_load load;
    struct emp_bench_http http;
    struct emp_bench_agents agents;
    struct emp_buf texts[CUSTOMERS];
    struct emp_str requests[CUSTOMERS];
};

/* ------------------------------------------------------------------ requests */

/* POST /api/jobs of one customer. The payload is of the kind that jobs have: a text and numbers. */
static void make_request(const struct emp_bench *b, unsigned customer, struct emp_buf *out)
{
    struct emp_buf body;

    emp_buf_init(&body, BODY_BYTES_MAX);
    emp_buf_printf(&body,
                   "{\"service_required\":\"simulation\",\"customer_id\":\"customer-%u\","
                   "\"payload\":{\"duration_ms\":0,\"seed\":%u,\"prompt\":\"",
                   customer, 1234567 + customer);
    while (!body.failed && (int64_t)body.len < b->o->payload)
        emp_buf_addz(&body, "a lighthouse at dusk, wide angle; ");
    emp_buf_addz(&body, "\"}}");
    emp_buf_addz(out, "POST /api/jobs HTTP/1.1\r\nHost: emp-bench\r\n"
                      "Content-Type: application/json\r\n");
    if (b->o->key)
        emp_buf_printf(out, "Authorization: Bearer %s\r\n", b->o->key);
    emp_buf_printf(out, "Content-Length: %zu\r\n\r\n%s", body.len, body.data);
    out->failed |= body.failed;
    emp_buf_release(&body);
}

static int open_http(struct emp_bench *b, uint32_t connections, struct emp_error *err)
{
    for (unsigned i = 0; i < CUSTOMERS; i++) {
        emp_buf_init(&b->texts[i], 2 * BODY_BYTES_MAX);
        make_request(b, i, &b->texts[i]);
        if (b->texts[i].failed)
            return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for the requests");
        b->requests[i] = (struct emp_str){b->texts[i].data, (uint32_t)b->texts[i].len};
    }
    return emp_bench_http_open(&b->http, &b->load, (const struct sockaddr *)&b->broker->address,
                               b->broker->address_len, connections, b->requests, CUSTOMERS, err);
}

/* ------------------------------------------------------------------ turning */

/* Turns until *count has reached `want`. Time in which we ourselves were stopped does not count as
 * a stall, whence the turns are added up. */
static int turn_until(struct emp_bench *b, const uint64_t *count, uint64_t want,
                      struct emp_error *err)
{
    int64_t silent_us = 0;

    while (*count < want) {
        int64_t began = emp_mono_us();
        uint64_t seen = *count;
        int r = emp_load_turn(&b->load, TURN_MS, err);
        if (r < 0)
            return r;
        emp_bench_agents_beat(&b->agents);
        int64_t took = emp_mono_us() - began;
        silent_us = *count != seen ? 0 : silent_us + (took < TURN_MS * 2000 ? took : 0);
        if (silent_us > STALL_MS * INT64_C(1000))
            return emp_fail(err, EMP_E_TIMEOUT, NULL, "nothing moves any more, at %llu of %llu",
                            (unsigned long long)seen, (unsigned long long)want);
    }
    return 0;
}

static int open_agents(struct emp_bench *b, uint32_t count, uint32_t slots, struct emp_error *err)
{
    struct emp_bench_agents_options o = {
        .address = (const struct sockaddr *)&b->broker->address,
        .address_len = b->broker->address_len,
        .token = b->o->token,
        .pool = "fast-lane",
        .count = count,
        .slots = slots,
    };
    int r = emp_bench_agents_open(&b->agents, &b->load, &o, err);
    return r < 0 ? r : turn_until(b, &b->agents.welcomed, count, err);
}

static void release(struct emp_bench *b)
{
    emp_bench_http_close(&b->http);
    emp_bench_agents_close(&b->agents);
    emp_load_release(&b->load);
    for (unsigned i = 0; i < CUSTOMERS; i++)
        emp_buf_release(&b->texts[i]);
}

/* ------------------------------------------------------------------ scenarios */

static int post_jobs(struct emp_bench *b, struct emp_bench_result *ret, struct emp_error *err)
{
    int r = open_http(b, b->o->connections, err);
    if (r < 0)
        return r;
    int64_t began = emp_mono_us();
    emp_bench_http_add(&b->http, ret->jobs);
    r = turn_until(b, &b->http.answered, ret->jobs, err);
    ret->wall_us = emp_mono_us() - began;
    ret->times = b->http.times;
    return r;
}

static int live_jobs(struct emp_bench *b, struct emp_bench_result *ret, struct emp_error *err)
{
    int r = open_agents(b, b->o->agents, b->o->slots, err);
    if (r == 0)
        r = open_http(b, b->o->connections, err);
    if (r < 0)
        return r;
    int64_t began = emp_mono_us();
    emp_bench_http_add(&b->http, ret->jobs);
    r = turn_until(b, &b->agents.acknowledged, ret->jobs, err);
    ret->wall_us = emp_mono_us() - began;
    ret->times = b->http.times;
    return r;
}

static int one_by_one(struct emp_bench *b, struct emp_bench_result *ret, struct emp_error *err)
{
    int r = open_agents(b, 1, 1, err);
    if (r == 0)
        r = open_http(b, 1, err);
    int64_t began = emp_mono_us();
    for (uint64_t i = 1; r == 0 && i <= ret->jobs; i++) {
        int64_t sent_at = emp_mono_us();
        emp_bench_http_add(&b->http, 1);
        r = turn_until(b, &b->agents.acknowledged, i, err);
        emp_histogram_add(&ret->times, b->agents.assigned_at - sent_at);
        if (r == 0)
            r = turn_until(b, &b->http.answered, i, err);
        if (r == 0)
            r = emp_load_turn(&b->load, IDLE_MS, err);
    }
    ret->wall_us = emp_mono_us() - began;
    return r;
}

int emp_bench_run(const struct emp_bench_scenario *s, const struct emp_bench_broker *broker,
                  const struct emp_bench_options *o, struct emp_bench_result *ret,
                  struct emp_error *err)
{
    struct emp_bench b = {.o = o, .broker = broker};

    *ret = (struct emp_bench_result){.jobs = o->jobs ? o->jobs : s->jobs};
    int r = emp_load_init(&b.load, err);
    if (r == 0)
        r = s->run(&b, ret, err);
    release(&b);
    return r;
}

const struct emp_bench_scenario emp_bench_scenarios[] = {
    {"http", "durable POST /api/jobs", "of a POST", false, 100000, 20000, post_jobs},
    {"lifecycle", "jobs submitted, assigned, completed", "of a POST", false, 100000, 15000,
     live_jobs},
    {"latency", "from submission to agent, idle", "submission to agent", true, 2000, 1000,
     one_by_one},
    {0},
};

double emp_bench_figure(const struct emp_bench_scenario *s, const struct emp_bench_result *r)
{
    if (s->timed)
        return (double)emp_histogram_quantile(&r->times, 0.5);
    return r->wall_us > 0 ? (double)r->jobs * 1e6 / (double)r->wall_us : 0;
}
