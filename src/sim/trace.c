#include "sim/trace.h"

#include "base/error.h"
#include "base/random.h"
#include "domain/job.h"
#include "domain/message.h"
#include "domain/model.h"
#include "machine/machine.h"
#include "sim/world.h"

static const struct {
    const char *format;
    bool story;
} kinds[EMP_SIM_TRACE_KIND_COUNT] = {
#define EMP_SIM_TRACE(name, story, format) [EMP_SIM_TRACE_##name] = {format, story},
#include "sim/trace.def"
};

bool emp_sim_trace_is_story(enum emp_sim_trace_kind kind)
{
    return kinds[kind].story;
}

/* ---- words ---- */

static const char *error_word(int64_t v)
{
    return v < 0 ? emp_error_name((int)v) : "ok";
}

static const char *state_word(int64_t v)
{
    return emp_job_state_word((enum emp_job_state)v);
}

static const char *outcome_word(int64_t v)
{
    return emp_outcome_word((enum emp_outcome)v);
}

static const char *message_word(int64_t v)
{
    return emp_message_word((enum emp_message_kind)v);
}

static const char *residency_word(int64_t v)
{
    return emp_residency_word((enum emp_residency)v);
}

static const char *stop_word(int64_t v)
{
    return emp_stop_reason_word((enum emp_stop_reason)v);
}

static const struct {
    const char *name;
    const char *(*word)(int64_t v);
} words[] = {
    {"error", error_word},     {"state", state_word},         {"outcome", outcome_word},
    {"message", message_word}, {"residency", residency_word}, {"stop", stop_word},
};

static void put_seconds(int64_t ms, struct emp_buf *out)
{
    emp_buf_printf(out, "%s%lld.%03lld", ms < 0 ? "-" : "", (long long)(ms < 0 ? -ms : ms) / 1000,
                   (long long)(ms < 0 ? -ms : ms) % 1000);
}

/* `type` is what stands after the colon, empty for a plain number. */
static void put_value(int64_t v, struct emp_str type, struct emp_buf *out)
{
    if (type.len == 0) {
        emp_buf_printf(out, "%lld", (long long)v);
        return;
    }
    if (emp_str_eq(type, EMP_STR("s"))) {
        put_seconds(v, out);
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (emp_str_eq(type, emp_str_z(words[i].name)))
            emp_buf_addz(out, words[i].word(v));
}

static void put_format(const struct emp_sim_entry *e, struct emp_buf *out)
{
    for (const char *p = kinds[e->kind].format; *p; p++) {
        if (*p != '{') {
            emp_buf_add(out, p, 1);
            continue;
        }
        int64_t v = p[1] == 'a' ? e->a : p[1] == 'b' ? e->b : e->c;
        const char *end = strchr(p, '}');
        const char *type = p[2] == ':' ? p + 3 : end;
        put_value(v, (struct emp_str){type, (uint32_t)(end - type)}, out);
        p = end;
    }
}

static void put_who(int32_t who, struct emp_buf *out)
{
    static const char *const names[] = {"broker", "client", "world"};
    if (who >= 0)
        emp_buf_printf(out, "m%-6d", who);
    else
        emp_buf_printf(out, "%-7s", names[-who - 1]);
}

void emp_sim_trace_format(const struct emp_sim_entry *e, struct emp_buf *out)
{
    emp_buf_printf(out, "%6lld.%03lld  ", (long long)e->at / 1000, (long long)e->at % 1000);
    put_who(e->who, out);
    emp_buf_addz(out, " ");
    put_format(e, out);
    emp_buf_addz(out, "\n");
}

/* ---- the log ---- */

static void print(struct emp_sim_trace *t, const struct emp_sim_entry *e)
{
    struct emp_buf line;
    emp_buf_init(&line, 1024);
    emp_sim_trace_format(e, &line);
    fwrite(line.data, 1, line.len, t->file);
    emp_buf_release(&line);
}

void emp_sim_trace_add(struct emp_sim_trace *t, const struct emp_sim_entry *e)
{
    uint64_t h = t->hash;
    h = emp_mix64(h ^ (uint64_t)e->at);
    h = emp_mix64(h ^ ((uint64_t)e->kind << 32 | (uint32_t)e->who));
    h = emp_mix64(h ^ (uint64_t)e->a);
    h = emp_mix64(h ^ (uint64_t)e->b);
    t->hash = emp_mix64(h ^ (uint64_t)e->c);
    t->last[t->count++ % EMP_SIM_TRACE_KEPT] = *e;
    if (t->file)
        print(t, e);
    if (t->story && kinds[e->kind].story)
        emp_sim_trace_format(e, t->story);
}

void emp_sim_trace_last(const struct emp_sim_trace *t, uint32_t count, struct emp_buf *out)
{
    uint64_t kept = t->count < EMP_SIM_TRACE_KEPT ? t->count : EMP_SIM_TRACE_KEPT;
    uint64_t n = count < kept ? count : kept;
    for (uint64_t i = t->count - n; i < t->count; i++)
        emp_sim_trace_format(&t->last[i % EMP_SIM_TRACE_KEPT], out);
}

void emp_sim_log(struct emp_sim_world *w, enum emp_sim_trace_kind kind, int32_t who, int64_t a,
                 int64_t b, int64_t c)
{
    emp_sim_trace_add(&w->trace, &(struct emp_sim_entry){w->now, kind, who, a, b, c});
}
