/* emp sim export: a broker's own history as a trace, so that last week can be run again under other
 * policies, or on another fleet. From a data directory (of a broker that does not run), or from a
 * running broker's API. Jobs are written in order of arrival as they are read: a history of any
 * size passes through. */
#include "cli/client.h"
#include "cli/sim.h"
#include "cli/view.h"
#include "sim/measure/trace_write.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAGE = 500, FLUSH_BYTES = 1 << 20 };

struct export
{
    FILE *out;
    struct emp_buf text;
    struct emp_arena arena; /* the catalogue */
    struct emp_intern names;
    struct emp_trace_row_model *models; /* by number of the name */
    size_t model_cap;
    emp_wall_ms last; /* a wall clock may have been set back: a trace's time may not */
    uint64_t jobs, ran;
};

static void catalogue_add(struct export *x, struct emp_str name, struct emp_str kind, int64_t bytes)
{
    uint32_t n = emp_intern(&x->names, name);
    while (x->model_cap <= n) {
        size_t count = x->model_cap;
        emp_arena_reserve(&x->arena, x->models, count, x->model_cap);
    }
    x->models[n] = (struct emp_trace_row_model){emp_intern_name(&x->names, n),
                                                emp_str_copy(&x->arena, kind), bytes};
}

static int flush(struct export *x, struct emp_error *err)
{
    size_t len = x->text.len;
    bool failed = x->text.failed || (len && fwrite(x->text.data, 1, len, x->out) != len);
    emp_buf_clear(&x->text);
    return failed
               ? emp_fail(err, EMP_E_IO, "out", "the trace cannot be written: %s", strerror(errno))
               : 0;
}

static int row_add(struct export *x, struct emp_trace_row *row, const struct emp_str *models,
                   uint32_t count, struct emp_error *err)
{
    struct emp_trace_row_model list[EMP_JOB_MODELS_MAX];
    row->models = list;
    row->model_count = count < EMP_JOB_MODELS_MAX ? count : EMP_JOB_MODELS_MAX;
    for (uint32_t i = 0; i < row->model_count; i++) {
        uint32_t n = emp_intern_find(&x->names, models[i]);
        list[i] = n ? x->models[n] : (struct emp_trace_row_model){.name = models[i]};
    }
    if (row->submitted_at < x->last)
        row->submitted_at = x->last;
    x->last = row->submitted_at;
    x->jobs++;
    x->ran += row->run_ms >= 0;
    emp_trace_write_row(&x->text, row);
    return x->text.len > FLUSH_BYTES || x->text.failed ? flush(x, err) : 0;
}

/* ── from a data directory ── */

struct walk {
    struct export *x;
    struct emp_error *err;
};

static void restored(void *ctx, const struct emp_change *change)
{
    if (change->kind == EMP_CHANGE_MODEL)
        catalogue_add(ctx, change->model.name, change->model.kind, change->model.bytes);
}

/* How long the last attempt ran, as far as it got to run. */
static int64_t ran_ms(const struct emp_job_record *r)
{
    const struct emp_attempt *a = &r->attempt;
    if (!emp_job_state_terminal(r->state) || a->started_at <= 0 || r->finished_at < a->started_at)
        return -1;
    return r->finished_at - a->started_at;
}

static int seen(void *ctx, const struct emp_store_job *job)
{
    struct walk *w = ctx;
    const struct emp_job_spec *s = &job->spec;
    struct emp_trace_row row = {
        .submitted_at = job->record.submitted_at,
        .customer = s->customer,
        .service = s->service,
        .pool = s->pool,
        .tier = s->tier,
        .priority = s->priority,
        .run_ms = ran_ms(&job->record),
    };
    return row_add(w->x, &row, s->models, s->model_count, w->err);
}

static int from_data(struct export *x, const char *dir, struct emp_error *err)
{
    struct emp_store *store = NULL;
    struct emp_store_reader *reader = NULL;
    struct walk w = {x, err};
    emp_job_num last;
    char db[4096];
    /* Opening would make a new one. */
    snprintf(db, sizeof db, "%s/lock", dir);
    if (access(db, F_OK) < 0)
        return emp_fail(err, EMP_E_NOT_FOUND, "data", "%s is no broker's data directory", dir);
    int r = emp_store_open(dir, NULL, &store, err);
    if (r == 0)
        r = emp_store_restore(store, restored, x, &last, err);
    if (r == 0)
        r = emp_store_reader_new(store, &reader, err);
    if (r == 0)
        r = emp_store_history(reader, 0, 0, seen, &w, err);
    emp_store_reader_free(reader);
    emp_store_close(store);
    return r;
}

/* ── from a broker ── */

static int catalogue_fetch(struct export *x, struct emp_client *c, struct emp_error *err)
{
    struct emp_reply reply;
    int r = emp_client_call(c, "GET", "/api/models", NULL, NULL, &reply, err);
    for (const struct emp_json *m = r == 0 ? emp_view_first(reply.json, "models") : NULL; m;
         m = m->next)
        catalogue_add(x, emp_view_text(m, "name"), emp_view_text(m, "kind"),
                      (int64_t)emp_view_number(m, "bytes"));
    emp_reply_release(&reply);
    return r;
}

static int job_told(struct export *x, const struct emp_json *job, struct emp_error *err)
{
    struct emp_str models[EMP_JOB_MODELS_MAX];
    uint32_t count = 0;
    enum emp_tier tier = EMP_TIER_FREE;
    const struct emp_json *ran = emp_view_get(job, "processing_time");
    for (const struct emp_json *m = emp_view_first(job, "models"); m && count < EMP_JOB_MODELS_MAX;
         m = m->next)
        models[count++] = m->string;
    emp_tier_parse(emp_view_text(job, "user_tier"), &tier);
    struct emp_trace_row row = {
        .submitted_at = emp_view_time(job, "created_at"),
        .customer = emp_view_text(job, "customer_id"),
        .service = emp_view_text(job, "service_required"),
        .pool = emp_view_text(job, "pool"),
        .tier = tier,
        .priority = emp_view_number(job, "priority"),
        .run_ms = ran ? (int64_t)emp_view_number(job, "processing_time") : -1,
    };
    return row_add(x, &row, models, count, err);
}

/* Pages by time of arrival, for old jobs may be deleted meanwhile: from the last one's millisecond
 * on, less those of it that have come already. */
static int from_broker(struct export *x, struct emp_cli *cli, struct emp_error *err)
{
    struct emp_client client;
    emp_wall_ms at = 0;
    uint64_t same = 0;
    uint32_t got = PAGE;
    int r = emp_client_open(&client, cli, err);
    if (r == 0)
        r = catalogue_fetch(x, &client, err);
    while (r == 0 && got == PAGE) {
        struct emp_reply reply;
        char path[256];
        snprintf(path, sizeof path,
                 "/api/jobs?sort=created_at&order=asc&limit=%d&created_after=%lld&offset=%llu",
                 PAGE, (long long)at, (unsigned long long)same);
        r = emp_client_call(&client, "GET", path, NULL, NULL, &reply, err);
        got = 0;
        for (const struct emp_json *job = r == 0 ? emp_view_first(reply.json, "jobs") : NULL;
             job && r == 0; job = job->next, got++) {
            emp_wall_ms created = emp_view_time(job, "created_at");
            same = created == at ? same + 1 : 1;
            at = created;
            r = job_told(x, job, err);
        }
        emp_reply_release(&reply);
    }
    return r;
}

int emp_sim_export(struct emp_cli *cli, struct emp_error *err)
{
    const char *data = emp_options_value(&cli->options, "data");
    const char *broker = emp_options_value(&cli->options, "broker");
    const char *path = emp_options_value(&cli->options, "out");
    struct export x = {.last = 0};
    if (!data == !broker || !path)
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "--out FILE and one of --data DIR, --broker URL are needed");
    x.out = fopen(path, "we");
    if (!x.out)
        return emp_fail(err, EMP_E_IO, "out", "%s cannot be written: %s", path, strerror(errno));
    emp_buf_init(&x.text, FLUSH_BYTES * 4);
    emp_arena_init(&x.arena, 0);
    emp_intern_init(&x.names, &x.arena);
    emp_trace_write_header(&x.text);
    int r = data ? from_data(&x, data, err) : from_broker(&x, cli, err);
    if (r == 0)
        r = flush(&x, err);
    if (fclose(x.out) != 0 && r == 0)
        r = emp_fail(err, EMP_E_IO, "out", "%s cannot be written: %s", path, strerror(errno));
    if (r < 0)
        unlink(path); /* half a history would be taken for a whole one */
    if (r == 0)
        printf("%llu jobs, %llu of which have run, to %s\n", (unsigned long long)x.jobs,
               (unsigned long long)x.ran, path);
    emp_buf_release(&x.text);
    emp_arena_release(&x.arena);
    return r;
}
