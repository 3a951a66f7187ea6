#include "cli/forecast_genai.h"

#include "cli/csv.h"

enum column { CREATED, BASE, LORAS, EXEC, TYPE, STEPS, IMAGES, STATUS, USER, COLUMNS };

static const char *const names[COLUMNS] = {"created", "base_model", "loras",  "exec_s", "type",
                                           "steps",   "images",     "status", "user"};

struct place {
    uint32_t of[COLUMNS]; /* field of a column, from 1; 0: there is none */
};

static int find_columns(const struct emp_csv *c, struct place *p, struct emp_error *err)
{
    *p = (struct place){{0}};
    for (uint32_t i = 0; i < c->count; i++)
        for (int k = 0; k < COLUMNS; k++)
            if (emp_str_eq(c->fields[i], emp_str_z(names[k])) && !p->of[k])
                p->of[k] = i + 1;
    for (int k = CREATED; k <= BASE; k++)
        if (!p->of[k])
            return emp_fail(err, EMP_E_MALFORMED, NULL,
                            "%s:%u: there is no column \"%s\" in the heading", c->name, c->line,
                            names[k]);
    return 0;
}

static struct emp_str get(const struct emp_csv *c, const struct place *p, enum column k)
{
    return p->of[k] ? c->fields[p->of[k] - 1] : EMP_STR("");
}

/* "2025-02-14 23:59:41", or RFC 3339. */
static int take_time(const struct emp_csv *c, struct emp_str s, emp_wall_ms *ret,
                     struct emp_error *err)
{
    char text[40];
    uint32_t n = s.len < sizeof text - 2 ? s.len : (uint32_t)sizeof text - 2;
    memcpy(text, s.ptr, n);
    if (n > 10 && text[10] == ' ')
        text[10] = 'T';
    if (emp_iso_parse(text, n, ret) == 0)
        return 0;
    text[n] = 'Z';
    if (emp_iso_parse(text, n + 1, ret) == 0)
        return 0;
    return emp_fail(err, EMP_E_MALFORMED, "created", "%s:%u: \"%.*s\" is not a time", c->name,
                    c->line, (int)n, s.ptr);
}

static void take_loras(struct emp_genai_job *job, struct emp_str s)
{
    while (s.len > 0 && job->model_count <= EMP_GENAI_LORAS_MAX) {
        const char *end = memchr(s.ptr, ';', s.len);
        uint32_t n = end ? (uint32_t)(end - s.ptr) : s.len;
        const char *scale = memchr(s.ptr, ':', n);
        struct emp_str id = {s.ptr, scale ? (uint32_t)(scale - s.ptr) : n};
        if (id.len)
            job->models[job->model_count++] = id;
        n += end != NULL;
        s = (struct emp_str){s.ptr + n, s.len - n};
    }
}

static int take_number(const struct emp_csv *c, const struct place *p, enum column k, double *ret,
                       struct emp_error *err)
{
    return p->of[k] && get(c, p, k).len ? emp_csv_number(c, p->of[k] - 1, ret, err) : 0;
}

static int take_record(const struct emp_csv *c, const struct place *p, uint32_t columns,
                       struct emp_genai_job *job, struct emp_error *err)
{
    int r;
    if (c->count != columns)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "%s:%u: %u fields, the heading has %u", c->name,
                        c->line, c->count, columns);
    *job = (struct emp_genai_job){
        .line = c->line, .exec_s = -1, .type = get(c, p, TYPE), .user = get(c, p, USER)};
    if (get(c, p, CREATED).len && (r = take_time(c, get(c, p, CREATED), &job->at, err)) < 0)
        return r;
    if ((r = take_number(c, p, EXEC, &job->exec_s, err)) < 0 ||
        (r = take_number(c, p, STEPS, &job->steps, err)) < 0 ||
        (r = take_number(c, p, IMAGES, &job->images, err)) < 0)
        return r;
    struct emp_str base = get(c, p, BASE), status = get(c, p, STATUS);
    job->succeeded = status.len == 0 || emp_str_eq(status, EMP_STR("SUCCEED"));
    if (base.len)
        job->models[job->model_count++] = base;
    take_loras(job, get(c, p, LORAS));
    return 0;
}

int emp_genai_read(struct emp_cli *cli, const char *path, struct emp_genai *ret,
                   struct emp_error *err)
{
    struct emp_str text;
    struct emp_csv c;
    struct place place;
    int r = emp_forecast_read(cli, path, &text, err);
    if (r < 0)
        return r;
    emp_csv_init(&c, path, text);
    if ((r = emp_csv_next(&c, &cli->arena, err)) <= 0)
        return r < 0 ? r : emp_fail(err, EMP_E_MALFORMED, NULL, "%s: it is empty", path);
    if ((r = find_columns(&c, &place, err)) < 0)
        return r;
    uint32_t columns = c.count;
    while ((r = emp_csv_next(&c, &cli->arena, err)) > 0) {
        struct emp_genai_job job;
        if ((r = take_record(&c, &place, columns, &job, err)) < 0)
            return r;
        if (job.at == 0) {
            emp_arena_reserve(&cli->arena, ret->untimed, ret->untimed_count, ret->untimed_cap);
            ret->untimed[ret->untimed_count++] = job;
            continue;
        }
        if (ret->count && job.at < ret->jobs[ret->count - 1].at)
            return emp_fail(err, EMP_E_MALFORMED, "created",
                            "%s:%u: earlier than the line before it: sort by time", path, c.line);
        emp_arena_reserve(&cli->arena, ret->jobs, ret->count, ret->cap);
        ret->jobs[ret->count++] = job;
    }
    return r;
}
