/* Start and end of a broker.
 *
 * Start: store, core (restored), loop, writer, links, then the HTTP server, last of all, so that no
 * request meets a half-made broker. End, after a signal: no new requests; what was taken in is run,
 * committed and answered; agents are told to come back; the HTTP server stops; the writer ends;
 * then everything is released in the opposite order. Nothing acknowledged depends on any of that.
 */
#include "broker/broker.h"

#include "broker/api.h"
#include "broker/shell.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/log.h"
#include "os/random.h"
#include "os/signals.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FLUSH_MS = 5000, /* for what was taken in to become durable, at the end */
    LEAVE_MS = 3000, /* for agents to take their good-bye */
    HTTP_GRACE_MS = 2000,
    COMMIT_GRACE_MS = 5000,
    OWN_DESCRIPTORS = 512, /* of store, readers, output files; the rest is for connections */
};

/* ------------------------------------------------------------------ start */

static void defaults(struct emp_broker_options *o)
{
    static const struct emp_str everybody[] = {{"*", 1}};

    if (o->listen.len == 0)
        o->listen = EMP_STR("127.0.0.1:3331");
    if (!o->settings)
        o->settings = emp_settings_default();
    if (o->cors_count == 0) {
        o->cors_origins = everybody;
        o->cors_count = 1;
    }
    o->body_bytes_max = o->body_bytes_max ? o->body_bytes_max : 10 * 1000 * 1000;
    o->batch_bytes_max = o->batch_bytes_max ? o->batch_bytes_max : 64 * 1000 * 1000;
    o->artifact_bytes_max = o->artifact_bytes_max ? o->artifact_bytes_max
                                                  : 10LL * 1000 * 1000 * 1000;
    o->payload_cache_bytes = o->payload_cache_bytes ? o->payload_cache_bytes : 64 * 1000 * 1000;
    o->retention_ms = o->retention_ms ? o->retention_ms : 30LL * 24 * 3600 * 1000;
    o->connections_max = o->connections_max ? o->connections_max : 10000;
    o->event_streams_max = o->event_streams_max ? o->event_streams_max : 10000;
}

/* The store must never find that connections took the last descriptor. */
static void share_descriptors(struct emp_broker *b)
{
    uint32_t all = emp_fd_limit_raise();
    uint32_t rest = all > 2 * OWN_DESCRIPTORS ? all - OWN_DESCRIPTORS : all / 2;
    uint32_t clients = b->o.connections_max < rest / 3 * 2 ? b->o.connections_max : rest / 3 * 2;

    if (clients < b->o.connections_max)
        emp_log_warn("%u connections of clients at most, not %u: the system allows %u open files "
                     "(ulimit -n)",
                     clients, b->o.connections_max, all);
    b->o.connections_max = clients;
    b->agents.max = rest - clients < EMP_AGENTS_MAX ? rest - clients : EMP_AGENTS_MAX;
}

static char *absolute(const char *path)
{
    char real[PATH_MAX];
    return strdup(realpath(path, real) ? real : path);
}

static int open_data(struct emp_broker *b, struct emp_error *err)
{
    struct emp_str data = b->o.data.len ? b->o.data : EMP_STR("emp-data");
    char dir[PATH_MAX], incoming[PATH_MAX];

    if (snprintf(dir, sizeof dir, "%.*s", EMP_STR_FMT(data)) >= (int)sizeof dir)
        return emp_fail(err, EMP_E_INVALID, "data", "the path is too long");
    int r = emp_store_open(dir, NULL, &b->store, err);
    if (r < 0)
        return r;
    b->data = absolute(dir);
    b->secret = emp_store_secret(b->store);
    if (snprintf(incoming, sizeof incoming, "%s/artifacts/.incoming", b->data) >=
        (int)sizeof incoming)
        return emp_fail(err, EMP_E_INVALID, "data", "the path is too long");
    r = emp_dir_make(incoming, 0755, err);
    return r < 0 ? r : emp_dir_clear(incoming, err); // what a crash left half-sent
}

static void restored(void *ctx, const struct emp_change *change)
{
    struct emp_broker *b = ctx;
    emp_blackbox_restored(b->blackbox, change);
    emp_planning_restored(b, change);
    emp_core_restore(b->core, change);
}

/* A broker without its black box is still a broker. */
static void start_blackbox(struct emp_broker *b, uint64_t seed)
{
    struct emp_blackbox_options o = {
        .data = b->data,
        .bytes_max = b->o.blackbox_bytes,
        .settings = b->o.settings,
        .policy = emp_policy_default.name,
        .seed = seed,
        .now = emp_loop_now().wall,
    };
    struct emp_error err = {0};

    if (o.bytes_max > 0 && emp_blackbox_open(&o, &b->blackbox, &err) < 0)
        emp_log_error("nothing is recorded: %s", err.text);
}

static int restore(struct emp_broker *b, struct emp_error *err)
{
    emp_job_num last = 0;
    uint64_t seed;

    emp_os_random(&seed, sizeof seed);
    b->core = emp_core_new(b->o.settings, &emp_policy_default, seed);
    start_blackbox(b, seed);
    emp_planning_init(b);
    int r = emp_store_restore(b->store, restored, b, &last, err);
    if (r < 0)
        return r;
    struct emp_now now = emp_loop_now();
    emp_blackbox_started(b->blackbox, now, last);
    emp_core_start(b->core, now, last);
    struct emp_core_stats s;
    emp_core_stats(b->core, &s);
    emp_log_info("restored %llu waiting and %llu running jobs, %u machines",
                 (unsigned long long)s.pending, (unsigned long long)s.running, s.machines_known);
    return 0;
}

static void on_wake(void *ctx)
{
    struct emp_broker *b = ctx;
    uv_async_send(&b->loop.wake);
}

static void on_retained(void *ctx, const emp_job_num *nums, uint32_t count)
{
    struct emp_broker *b = ctx;
    for (uint32_t i = 0; i < count; i++)
        emp_trash_add(&b->trash, nums[i], 0);
}

static int start_loop(struct emp_broker *b, struct emp_error *err)
{
    struct emp_committer_options o = {
        .broker = b,
        .store = b->store,
        .retention_ms = b->o.retention_ms,
        .wake = on_wake,
        .retained = on_retained,
        .ctx = b,
    };
    static char artifacts[PATH_MAX + 16];

    snprintf(artifacts, sizeof artifacts, "%s/artifacts", b->data);
    emp_payloads_init(&b->payloads, (size_t)b->o.payload_cache_bytes);
    emp_progress_init(&b->progress);
    if (emp_loop_init(b) < 0 || emp_trash_init(&b->trash, &b->loop.uv, artifacts, b->secret) < 0 ||
        emp_agents_init(b) < 0 || emp_events_init(b) < 0 || emp_planning_start(b) < 0 ||
        emp_committer_new(&o, &b->committer) < 0)
        return emp_fail(err, EMP_E_INTERNAL, NULL,
                        "the loop cannot be started: no memory, threads or descriptors left");
    for (uint32_t i = 0; i < b->o.model_count; i++)
        emp_loop_step(b, &(struct emp_event){.kind = EMP_EVENT_MODEL, .model = &b->o.models[i]});
    return 0;
}

static int start_http(struct emp_broker *b, struct emp_error *err)
{
    char host[64];
    struct emp_http_options o = {
        .host = host,
        .threads = b->o.http_threads,
        .connections_max = b->o.connections_max,
        .idle_timeout_ms = b->o.idle_timeout_ms,
        .body_bytes_max = (size_t)b->o.body_bytes_max,
        .ctx = b,
        .begin = emp_api_begin,
        .handle = emp_api_handle,
        .error = emp_api_error,
    };
    int r = emp_broker_split_listen(b->o.listen, host, &o.port, err);
    return r < 0 ? r : emp_http_server_start(&o, &b->http, err);
}

static void announce(struct emp_broker *b)
{
    char host[64];
    uint16_t port;

    emp_broker_split_listen(b->o.listen, host, &port, NULL);
    bool v6 = strchr(host, ':') != NULL;
    atomic_store(&b->ready, true);
    printf("emp: listening on http://%s%s%s:%u\n", v6 ? "[" : "", host, v6 ? "]" : "",
           emp_http_server_port(b->http));
    fflush(stdout);
}

/* ------------------------------------------------------------------ end */

static void nothing(uv_timer_t *t)
{
    (void)t; /* the turn itself is what is wanted */
}

/* Work on other threads must end; agents may take their time, within bounds. */
static void turn_until_gone(struct emp_broker *b, int64_t ms)
{
    emp_mono_ms last = emp_mono_now() + ms;
    uv_timer_t poke;

    uv_timer_init(&b->loop.uv, &poke);
    uv_timer_start(&poke, nothing, 20, 20);
    while (b->agents.loads || b->events.loads || b->uploads || b->trash.busy ||
           (b->agents.count && emp_mono_now() < last))
        uv_run(&b->loop.uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&poke, NULL);
    uv_run(&b->loop.uv, UV_RUN_NOWAIT);
}

static void end(struct emp_broker *b)
{
    emp_loop_flush(b, FLUSH_MS);
    emp_events_close_all(b);
    emp_http_server_stop(b->http, HTTP_GRACE_MS);
    emp_agents_close_all(b);
    turn_until_gone(b, LEAVE_MS);
    if (!emp_committer_stop(b->committer, COMMIT_GRACE_MS))
        emp_log_error("the store could not be written to the end; what was acknowledged is safe, "
                      "the rest is not");
    emp_loop_refuse(b);
    emp_planning_stop(b);
    emp_committer_free(b->committer);
    emp_trash_close(&b->trash);
    emp_loop_release(b);
    emp_events_release(b);
    emp_agents_release(b);
    emp_trash_release(&b->trash);
    emp_progress_release(&b->progress);
    emp_payloads_release(&b->payloads);
    emp_planning_release(b);
}

/* Batches and their arenas come and go by the megabyte, many times a second: what they free is
 * kept, up to a bound, instead of being given back to the kernel and faulted in anew. */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
}

static int run(struct emp_broker *b, struct emp_error *err)
{
    int r = start_http(b, err); // early: whoever asks meanwhile is told that we are starting
    if (r < 0)
        return r;
    r = restore(b, err);
    if (r == 0)
        r = start_loop(b, err);
    if (r == 0) {
        announce(b);
        emp_loop_run(b);
        end(b);
    }
    emp_http_server_stop(b->http, 0);
    emp_http_server_free(b->http);
    return r;
}

int emp_broker_run(const struct emp_broker_options *o)
{
    struct emp_broker *b = calloc(1, sizeof *b);
    struct emp_error err = {0};

    if (!b)
        abort();
    b->o = *o;
    defaults(&b->o);
    share_descriptors(b);
    b->started_at = emp_mono_now();
    b->auth = (struct emp_auth){b->o.api_keys, b->o.agent_tokens, b->o.api_key_count,
                                b->o.agent_token_count};
    emp_signals_ignore_pipe();
    keep_freed_memory();
    int r = emp_broker_may_listen(b->o.listen, b->o.api_key_count, b->o.agent_token_count, &err);
    if (r == 0)
        r = open_data(b, &err);
    if (r == 0) {
        emp_readers_init(&b->readers, b->store);
        r = run(b, &err);
        emp_readers_release(&b->readers);
    }
    if (r < 0)
        emp_log_error("%s", err.text);
    emp_blackbox_close(b->blackbox);
    emp_core_free(b->core);
    emp_store_close(b->store);
    free(b->data);
    free(b);
    return r;
}
