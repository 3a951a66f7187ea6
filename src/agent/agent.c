/* The wiring: what happens outside becomes an event of the brain, what the brain wants is carried
 * out. An event never comes while actions are being carried out (everything below answers in a
 * later turn), but for a run that is given up, which therefore waits until the list is done.
 *
 * The end: EXIT from the brain, or a start that failed. Runs are stopped and fetches cancelled
 * (their parts stay), the link closes after what was sent, then all handles close and the loop runs
 * empty. What does not stop in time is left to the end of the process: its children die with it. */
#include "agent/agent.h"

#include "agent/fetches.h"
#include "agent/hardware.h"
#include "agent/link.h"
#include "agent/runs.h"
#include "machine/machine.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/log.h"
#include "os/random.h"
#include "os/signals.h"
#include "proto/message_json.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    MEASURE_MS = 2000,
    FETCHES_DEFAULT = 3,
    END_MS = 8000, /* for everything to stop, at the end */
    ID_BYTES_MAX = 256,
};

struct agent {
    struct emp_agent_options o;
    struct emp_arena arena; /* for the agent's life */
    struct emp_arena steps; /* of one step */
    struct emp_arena texts; /* of one message */
    uv_loop_t loop;
    uv_timer_t due, measure, ending;
    uv_prepare_t turn;
    emp_mono_ms due_at;
    struct emp_signals *signals;
    struct emp_dir_lock lock;
    struct emp_machine_facts facts;
    struct emp_machine *machine;
    struct emp_http_client *http;
    struct emp_agent_link link;
    struct emp_models models;
    struct emp_meter meter;
    struct emp_fetches fetches;
    struct emp_runs runs;
    const char *url, *token, *data, *base;
    uint32_t signals_seen;
    bool greeted;      /* the first WELCOME has come */
    bool pool_unknown; /* the broker does not have the pool that was asked for: said already */
    bool link_begun, link_closed;
    bool exiting, stuck;
    emp_mono_ms end_by; /* with `exiting` */
    uint32_t connectors_open;
    int code;
};

/* ------------------------------------------------------------------ stepping */

static void begin_end(struct agent *g, int code);

static void on_deleted(void *arg, struct emp_str name, const struct emp_error *err);

static void carry_out(struct agent *g, const struct emp_machine_action *a)
{
    switch (a->kind) {
    case EMP_MACHINE_SEND:
        emp_agent_link_send(&g->link, &a->send);
        break;
    case EMP_MACHINE_FETCH:
        emp_fetches_start(&g->fetches, a->fetch.model);
        break;
    case EMP_MACHINE_FETCH_CANCEL:
        emp_fetches_cancel(&g->fetches, a->fetch_cancel.model);
        break;
    case EMP_MACHINE_DELETE:
        emp_models_delete(&g->models, a->del.model, a->del.path, on_deleted, g);
        break;
    case EMP_MACHINE_RUN:
        emp_runs_start(&g->runs, a->run);
        break;
    case EMP_MACHINE_STOP:
        emp_runs_stop(&g->runs, a->stop.job, a->stop.attempt, false);
        break;
    case EMP_MACHINE_RECONNECT:
        emp_agent_link_reconnect(
            &g->link, emp_arena_printf(&g->steps, "%.*s", EMP_STR_FMT(a->reconnect.reason)));
        break;
    case EMP_MACHINE_EXIT:
        if (a->exit.reason.len)
            emp_log(a->exit.code ? EMP_LOG_ERROR : EMP_LOG_INFO, "agent", "ending: %.*s",
                    EMP_STR_FMT(a->exit.reason));
        begin_end(g, a->exit.code);
        break;
    case EMP_MACHINE_WATCHDOG: // see step()
    case EMP_MACHINE_LOAD:     // likewise: no connector loads models ahead of a run
    case EMP_MACHINE_LOAD_CANCEL:
    case EMP_MACHINE_FORGET: // outputs and scratch go with the run itself
    case EMP_MACHINE_ACTION_COUNT:
        break;
    }
}

static void step(struct agent *g, const struct emp_machine_event *e);

/* Gives runs up, which answers at once: so after all else. */
static void give_up(struct agent *g, const struct emp_machine_actions *list)
{
    struct lease {
        emp_job_num job;
        uint32_t attempt;
    } *leases = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].kind == EMP_MACHINE_WATCHDOG) {
            leases = reallocarray(leases, count + 1, sizeof *leases);
            if (leases == NULL)
                abort();
            leases[count++] =
                (struct lease){list->items[i].lease.job, list->items[i].lease.attempt};
        }
    for (uint32_t i = 0; i < count; i++)
        emp_runs_abandon(&g->runs, leases[i].job, leases[i].attempt);
    free(leases);
}

static void trace(const struct emp_machine_action *a)
{
    struct emp_buf line;

    if (!emp_log_on(EMP_LOG_DEBUG))
        return;
    emp_buf_init(&line, EMP_LOG_LINE_MAX);
    emp_machine_action_format(a, &line);
    emp_log(EMP_LOG_DEBUG, "machine", "%s", line.data ? line.data : "");
    emp_buf_release(&line);
}

static void step(struct agent *g, const struct emp_machine_event *e)
{
    struct emp_machine_actions list = {.arena = &g->steps};
    struct emp_str unloadable = {0};
    struct emp_now now;

    if (g->exiting)
        return;
    emp_now_read(&now);
    emp_arena_reset(&g->steps);
    emp_machine_step(g->machine, now, e, &list);
    for (uint32_t i = 0; i < list.count; i++) {
        trace(&list.items[i]);
        carry_out(g, &list.items[i]);
        if (list.items[i].kind == EMP_MACHINE_LOAD)
            unloadable = list.items[i].load.model->name; // until its LOADED
    }
    give_up(g, &list);
    if (unloadable.len)
        step(g, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LOADED,
                                            .loaded = {unloadable, EMP_E_UNAVAILABLE}});
}

static void on_event(void *arg, const struct emp_machine_event *e)
{
    step(arg, e);
}

static void on_deleted(void *arg, struct emp_str name, const struct emp_error *err)
{
    if (err->code)
        emp_log_failure(EMP_LOG_WARN, "models", "a model cannot be removed", err);
    else
        emp_log(EMP_LOG_INFO, "models", "model \"%.*s\" evicted", EMP_STR_FMT(name));
    step(arg, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_DELETED,
                                          .deleted = {.model = name, .code = err->code}});
}

/* ------------------------------------------------------------------ time */

static void on_due(uv_timer_t *t)
{
    struct agent *g = t->data;
    g->due_at = EMP_NEVER;
    step(g, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_TICK});
}

/* Before the loop sleeps: when the brain wants to be asked next. */
static void on_turn(uv_prepare_t *p)
{
    struct agent *g = p->data;
    emp_mono_ms due = g->exiting || !g->machine ? EMP_NEVER : emp_machine_next_due(g->machine);

    if (due == g->due_at)
        return;
    g->due_at = due;
    if (due == EMP_NEVER) {
        uv_timer_stop(&g->due);
        return;
    }
    emp_mono_ms now = emp_mono_now();
    uv_update_time(&g->loop);
    uv_timer_start(&g->due, on_due, due > now ? (uint64_t)(due - now) : 0, 0);
}

static void on_measure(uv_timer_t *t)
{
    struct agent *g = t->data;
    emp_fetches_report(&g->fetches);
    step(g, &(struct emp_machine_event){
                .kind = EMP_MACHINE_EVENT_MEASURED,
                .measured = {.link_bytes_per_s = g->meter.bytes_per_s,
                             .cpu_load = emp_hardware_cpu_load(g->facts.cpu_cores)}});
}

static void on_signal(void *ctx, int signum)
{
    struct agent *g = ctx;
    if (signum == SIGHUP)
        return;
    static const char *const what[] = {"finishing what runs, then ending",
                                       "handing work back, then ending", "ending at once"};
    uint32_t which = g->signals_seen + !g->o.drain;
    g->signals_seen++;
    emp_log(EMP_LOG_INFO, "agent", "signal %d: %s", signum, what[which < 2 ? which : 2]);
    step(g,
         &(struct emp_machine_event){
             .kind = EMP_MACHINE_EVENT_SHUTDOWN,
             .shutdown = {.drain = g->o.drain, .reason = EMP_STR("the agent was told to stop")}});
}

/* ------------------------------------------------------------------ the link */

static void on_up(void *arg)
{
    step(arg, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LINK_UP});
}

static void on_down(void *arg)
{
    step(arg, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LINK_DOWN});
}

static void on_welcome(struct agent *g, const struct emp_message_welcome *w)
{
    bool unknown = g->facts.pool.len && !emp_str_eq(g->facts.pool, w->pool);

    if (unknown && !g->pool_unknown)
        emp_log_warn("the broker has no pool \"%.*s\": this machine was put into \"%.*s\"",
                     EMP_STR_FMT(g->facts.pool), EMP_STR_FMT(w->pool));
    g->pool_unknown = unknown;
    if (g->greeted)
        return;
    g->greeted = true;
    printf("emp: agent %.*s connected to %s\n", EMP_STR_FMT(g->facts.id), g->url);
    fflush(stdout);
}

static void on_text(void *arg, const char *text, size_t len)
{
    struct agent *g = arg;
    struct emp_message m;
    struct emp_error err = {0};

    emp_arena_reset(&g->texts);
    if (emp_message_decode(&g->texts, text, len, 'B', &m, &err) < 0) {
        if (err.code == EMP_E_PROTOCOL && len < EMP_MESSAGE_BYTES_MAX) {
            emp_log_failure(EMP_LOG_WARN, "link",
                            "a message of the broker is not understood and passed over", &err);
            return;
        }
        emp_log_failure(EMP_LOG_ERROR, "link",
                        "a message of the broker is damaged; connecting anew", &err);
        emp_agent_link_reconnect(&g->link, "a message was damaged");
        return;
    }
    step(g, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = &m});
    if (m.kind == EMP_MESSAGE_WELCOME)
        on_welcome(g, &m.welcome);
}

static void on_refused(void *arg, const struct emp_error *err)
{
    emp_log_failure(EMP_LOG_ERROR, "link", "the broker refuses this agent (EMP_AGENT_TOKEN?)", err);
    begin_end(arg, err->code);
}

/* ------------------------------------------------------------------ the end */

static void on_connector_closed(void *arg)
{
    struct agent *g = arg;
    g->connectors_open--;
}

/* Everything that could still call back is over. */
static void close_handles(struct agent *g)
{
    g->connectors_open = g->runs.connector_count;
    for (uint32_t i = 0; i < g->runs.connector_count; i++)
        g->runs.connectors[i]->ops->close(g->runs.connectors[i], on_connector_closed, g);
    if (g->http)
        emp_http_client_close(g->http, NULL, NULL);
    emp_signals_stop(g->signals);
    uv_close((uv_handle_t *)&g->due, NULL);
    uv_close((uv_handle_t *)&g->measure, NULL);
    uv_close((uv_handle_t *)&g->turn, NULL);
    uv_close((uv_handle_t *)&g->ending, NULL);
}

static void on_ending(uv_timer_t *t)
{
    struct agent *g = t->data;

    if (g->link_closed && emp_runs_empty(&g->runs) && g->fetches.first == NULL) {
        uv_timer_stop(t);
        close_handles(g);
    } else if (emp_mono_now() > g->end_by) {
        emp_log(EMP_LOG_WARN, "agent", "something does not stop; ending all the same");
        g->stuck = true;
        uv_stop(&g->loop);
    }
}

static void on_link_closed(void *arg)
{
    struct agent *g = arg;
    g->link_closed = true;
}

static void begin_end(struct agent *g, int code)
{
    if (g->exiting)
        return;
    g->exiting = true;
    g->end_by = emp_mono_now() + END_MS;
    g->code = code;
    emp_runs_stop_all(&g->runs);
    emp_fetches_cancel_all(&g->fetches);
    if (g->link_begun)
        emp_agent_link_close(&g->link, on_link_closed);
    else
        g->link_closed = true;
    uv_timer_start(&g->ending, on_ending, 0, 20);
}

/* ------------------------------------------------------------------ start */

static const char *text_of(struct agent *g, struct emp_str s, const char *otherwise)
{
    return s.len ? emp_str_copy(&g->arena, s).ptr : otherwise;
}

/* The id in the data directory, made when missing. */
static int read_id(struct agent *g, struct emp_str *ret, struct emp_error *err)
{
    const char *path = emp_arena_printf(&g->arena, "%s/machine-id", g->data);
    char id[EMP_UUID_TEXT];
    struct emp_buf text;

    emp_buf_init(&text, ID_BYTES_MAX);
    int r = emp_file_read_all(path, ID_BYTES_MAX, &text, err);
    while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == ' '))
        text.data[--text.len] = '\0';
    if (r == 0 && text.len) {
        *ret = emp_str_copy(&g->arena, (struct emp_str){text.data, (uint32_t)text.len});
    } else if (r == 0 || r == EMP_E_NOT_FOUND) {
        emp_uuid4(id);
        *ret = emp_str_copy(&g->arena, emp_str_z(id));
        r = emp_file_write_atomic(path, id, strlen(id), 0644, err);
    }
    emp_buf_release(&text);
    return r;
}

/* What the connectors offer, each service once. */
static void fill_services(struct agent *g)
{
    struct emp_str services[EMP_MACHINE_SERVICES_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < g->runs.connector_count; i++)
        for (uint32_t j = 0;
             j < g->runs.connectors[i]->service_count && count < EMP_MACHINE_SERVICES_MAX; j++)
            services[count++] = g->runs.connectors[i]->services[j];
    g->facts.services = emp_arena_dup(&g->arena, services, count * sizeof *services);
    g->facts.service_count = count;
}

static void on_services_changed(void *arg, struct emp_connector *c)
{
    struct agent *g = arg;
    (void)c;
    if (g->exiting)
        return;
    fill_services(g);
    emp_agent_link_reconnect(&g->link, "services changed");
}

static void fill_facts(struct agent *g)
{
    const struct emp_agent_options *o = &g->o;
    struct emp_machine_facts *f = &g->facts;
    struct emp_now now;
    char boot[EMP_UUID_TEXT];

    emp_now_read(&now);
    emp_uuid4(boot);
    emp_hardware_find(&g->arena, NULL, f);
    f->boot = emp_str_copy(&g->arena, emp_str_z(boot));
    f->version = EMP_STR(EMP_VERSION);
    f->pool = o->pool;
    f->region = o->region;
    f->provider = o->provider;
    f->specialties = (struct emp_str *)o->specialties;
    f->specialty_count = o->specialty_count;
    f->compliance = (struct emp_str *)o->compliance;
    f->compliance_count = o->compliance_count;
    f->custom_nodes = (struct emp_str *)o->custom_nodes;
    f->node_count = o->node_count;
    f->allowed_customers = (struct emp_str *)o->allowed_customers;
    f->allowed_count = o->allowed_count;
    f->denied_customers = (struct emp_str *)o->denied_customers;
    f->denied_count = o->denied_count;
    f->caps = (struct emp_capability *)o->caps;
    f->cap_count = o->cap_count;
    f->isolation = o->isolation;
    f->slots = o->slots ? o->slots : f->gpu_count ? f->gpu_count : 1;
    f->booted_at = now.wall;
    emp_machine_caps_fill(&g->arena, f);
}

static int set_budget(struct agent *g, int64_t models_bytes, struct emp_error *err)
{
    int64_t free_bytes = 0;

    if (g->o.disk_budget_bytes > 0) {
        g->facts.disk_budget_bytes = g->o.disk_budget_bytes;
        return 0;
    }
    int r = emp_disk_free(g->models.dir, &free_bytes, NULL, err);
    g->facts.disk_budget_bytes = (free_bytes + models_bytes) / 10 * 9;
    return r;
}

static int make_data(struct agent *g, struct emp_error *err)
{
    char real[PATH_MAX];
    const char *dir = text_of(g, g->o.data, "emp-agent");

    int r = emp_dir_make(dir, 0755, err);
    if (r < 0)
        return r;
    if (realpath(dir, real) == NULL)
        return emp_fail(err, EMP_E_IO, "data", "%s: %s", dir, strerror(errno));
    g->data = emp_str_copy(&g->arena, emp_str_z(real)).ptr;
    r = emp_dir_lock_take(&g->lock, g->data, err);
    return r < 0 ? r : read_id(g, &g->facts.id, err);
}

static void start_clocks(struct agent *g)
{
    g->due.data = g->measure.data = g->ending.data = g->turn.data = g;
    uv_timer_init(&g->loop, &g->due);
    uv_timer_init(&g->loop, &g->measure);
    uv_timer_init(&g->loop, &g->ending);
    uv_prepare_init(&g->loop, &g->turn);
    uv_prepare_start(&g->turn, on_turn);
    g->due_at = EMP_NEVER;
}

static int make_machine(struct agent *g, struct emp_error *err)
{
    static struct emp_machine_settings s;
    struct emp_machine_found *found;
    uint32_t count;
    int64_t bytes = 0;

    int r = emp_models_init(
        &g->models, &g->loop,
        text_of(g, g->o.models_dir, emp_arena_printf(&g->arena, "%s/models", g->data)), err);
    if (r == 0)
        r = emp_models_inventory(&g->models, &g->arena, &found, &count, &bytes, err);
    if (r == 0)
        r = set_budget(g, bytes, err);
    if (r < 0)
        return r;
    g->facts.gpu_budget_bytes = 0;
    for (uint32_t i = 0; i < g->facts.gpu_count; i++)
        g->facts.gpu_budget_bytes += g->facts.gpus[i].memory_bytes;
    s = (struct emp_machine_settings){
        .facts = &g->facts,
        .fetches_max = g->o.fetches_max ? g->o.fetches_max : FETCHES_DEFAULT,
        .link_bytes_per_s = g->o.link_bytes_per_s_max,
        .evict_lean = g->o.evict_lean,
        .drain_ms = g->o.drain_timeout_ms == EMP_NEVER ? 0 : g->o.drain_timeout_ms,
    };
    g->machine = emp_machine_new(&s);
    step(g, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_INVENTORY,
                                        .inventory = {found, count}});
    return 0;
}

static int wire(struct agent *g, struct emp_error *err)
{
    struct emp_connector_host host = {
        .loop = &g->loop, .arg = g, .services_changed = on_services_changed};
    struct emp_http_client_options http = {.user_agent = "emp-agent/" EMP_VERSION};

    int r = emp_http_client_new(&g->loop, &http, &g->http);
    if (r < 0)
        return emp_fail(err, r, NULL, "the HTTP client cannot be made");
    r = emp_connectors_make(&host, &g->o, g->runs.connectors, &g->runs.connector_count, err);
    if (r < 0)
        return r;
    fill_services(g);
    g->fetches = (struct emp_fetches){
        .o = {.models = &g->models,
              .http = g->http,
              .meter = &g->meter,
              .bytes_per_s_max = g->o.link_bytes_per_s_max,
              .stall_ms = g->o.fetch_stall_ms},
        .event = on_event,
        .arg = g,
    };
    g->runs.loop = &g->loop;
    g->runs.models = &g->models;
    g->runs.upload = (struct emp_upload_options){
        .loop = &g->loop, .http = g->http, .base = g->base, .bearer = g->token};
    g->runs.event = on_event;
    g->runs.arg = g;
    return emp_runs_init(&g->runs, g->data, err);
}

/* ws://… as http://…, for the uploads. */
static const char *http_base(struct agent *g)
{
    const char *url = g->url;
    if (strncasecmp(url, "ws", 2) == 0)
        url = emp_arena_printf(&g->arena, "http%s", url + 2);
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    return emp_arena_printf(&g->arena, "%.*s", (int)len, url);
}

static int start(struct agent *g, struct emp_error *err)
{
    struct emp_link_options link = {.loop = &g->loop,
                                    .arg = g,
                                    .up = on_up,
                                    .down = on_down,
                                    .text = on_text,
                                    .refused = on_refused};

    g->url = text_of(g, g->o.broker, "ws://127.0.0.1:3331");
    g->token = text_of(g, g->o.token, NULL);
    g->base = http_base(g);
    int r = make_data(g, err);
    if (r == 0)
        r = wire(g, err);
    if (r < 0)
        return r;
    fill_facts(g);
    r = make_machine(g, err);
    if (r < 0)
        return r;
    link.http = g->http;
    link.url = g->url;
    link.token = g->token;
    r = emp_agent_link_start(&g->link, &link, err);
    if (r < 0)
        return r;
    g->link_begun = true;
    uv_timer_start(&g->measure, on_measure, MEASURE_MS, MEASURE_MS);
    return emp_signals_start(&g->loop, on_signal, g, &g->signals);
}

static void release(struct agent *g)
{
    if (g->stuck)
        return; // what does not stop may still use all of it
    if (uv_loop_close(&g->loop) < 0)
        emp_log(EMP_LOG_WARN, "agent", "the loop ended with open handles");
    emp_machine_free(g->machine);
    emp_models_release(&g->models);
    emp_dir_lock_release(&g->lock);
    emp_arena_release(&g->texts);
    emp_arena_release(&g->steps);
    emp_arena_release(&g->arena);
    free(g);
}

int emp_agent_run(const struct emp_agent_options *o)
{
    struct agent *g = calloc(1, sizeof *g);
    struct emp_error err = {0};

    if (g == NULL)
        abort();
    g->o = *o;
    g->lock.fd = g->models.lock.fd = -1;
    emp_arena_init(&g->arena, 0);
    emp_arena_init(&g->steps, 0);
    emp_arena_init(&g->texts, 0);
    emp_signals_ignore_pipe();
    if (uv_loop_init(&g->loop) < 0)
        abort();
    start_clocks(g);
    emp_chain_init(&g->runs.all);
    int r = start(g, &err);
    if (r < 0) {
        emp_log_failure(EMP_LOG_ERROR, "agent", "cannot start", &err);
        begin_end(g, r);
    }
    uv_run(&g->loop, UV_RUN_DEFAULT);
    r = g->code;
    release(g);
    return r;
}
