/* A word is a list of parts: literal text, or a placeholder of one of the kinds in the table below.
 */
#include "agent/connectors/template.h"

#include "os/files.h"

#include <stdlib.h>
#include <string.h>

enum kind {
    LITERAL,
    PAYLOAD,
    INPUT,
    OUTPUT,
    OUTPUTS,
    MODEL,
    MODELS,
    MODEL_DIR,
    PAYLOAD_FILE,
    SCRATCH,
    JOB_ID,
    ATTEMPT,
    KIND_COUNT
};

struct part {
    enum kind kind;
    struct emp_str text;     /* literal, or what follows the dot */
    struct emp_str fallback; /* PAYLOAD: after '=' */
    bool has_fallback, any;
    uint32_t index; /* MODELS */
};
struct word {
    struct part *parts;
    uint32_t count, cap;
};
struct emp_template {
    struct word *words;
    uint32_t count;
    struct emp_str *outputs;
    uint32_t output_count, output_cap;
    bool wants_payload_file;
};

/* ---------------------------------------------------------------- compiling */

static const struct {
    const char *word;
    bool named; /* "word.NAME" */
} kinds[KIND_COUNT] = {
    [LITERAL] = {"", false},
    [PAYLOAD] = {"payload", true},
    [INPUT] = {"input", true},
    [OUTPUT] = {"output", true},
    [OUTPUTS] = {"outputs", false},
    [MODEL] = {"model", true},
    [MODELS] = {"models", true},
    [MODEL_DIR] = {"model_dir", false},
    [PAYLOAD_FILE] = {"payload_file", false},
    [SCRATCH] = {"scratch", false},
    [JOB_ID] = {"job_id", false},
    [ATTEMPT] = {"attempt", false},
};

static struct emp_str until(struct emp_str s, char stop)
{
    const char *p = s.len ? memchr(s.ptr, stop, s.len) : NULL;
    return p ? (struct emp_str){s.ptr, (uint32_t)(p - s.ptr)} : s;
}

static struct emp_str from(struct emp_str s, uint32_t skip)
{
    return skip < s.len ? (struct emp_str){s.ptr + skip, s.len - skip} : (struct emp_str){0};
}

static int find_kind(struct emp_str inner, struct part *p, struct emp_error *err)
{
    struct emp_str head = until(inner, '.');
    bool named = head.len < inner.len;
    for (int k = LITERAL + 1; k < KIND_COUNT; k++) {
        if (!emp_str_eq(head, emp_str_z(kinds[k].word)) || kinds[k].named != named)
            continue;
        p->kind = k;
        p->text = from(inner, head.len + 1);
        return 0;
    }
    return emp_fail(
        err, EMP_E_INVALID, NULL,
        "{%.*s} is no placeholder; known are {payload.KEY}, {input.NAME}, {output.NAME}, "
        "{outputs}, {model.NAME}, {models.N}, {model_dir}, {payload_file}, {scratch}, {job_id}, "
        "{attempt}",
        EMP_STR_FMT(inner));
}

/* "KEY", "KEY=TEXT", "KEY:any", "KEY:any=TEXT" */
static void payload_modifiers(struct part *p)
{
    struct emp_str whole = p->text;
    struct emp_str head = until(whole, '=');
    if (head.len < whole.len) {
        p->has_fallback = true;
        p->fallback = from(whole, head.len + 1);
    }
    if (head.len > 4 && memcmp(head.ptr + head.len - 4, ":any", 4) == 0) {
        p->any = true;
        head.len -= 4;
    }
    p->text = head;
}

static int check_name(struct part *p, struct emp_error *err)
{
    if (p->kind == PAYLOAD) {
        payload_modifiers(p);
        if (p->text.len == 0)
            return emp_fail(err, EMP_E_INVALID, NULL, "{payload.} lacks a key");
    } else if (p->kind == INPUT || p->kind == OUTPUT) {
        if (!emp_path_is_safe_relative_str(p->text))
            return emp_fail(err, EMP_E_INVALID, NULL, "\"%.*s\" is no usable file name",
                            EMP_STR_FMT(p->text));
    } else if (p->kind == MODELS) {
        char digits[8] = {0};
        if (p->text.len == 0 || p->text.len > 4 ||
            strspn(memcpy(digits, p->text.ptr, p->text.len), "0123456789") != p->text.len)
            return emp_fail(err, EMP_E_INVALID, NULL,
                            "{models.%.*s} lacks a number: {models.0} is the first",
                            EMP_STR_FMT(p->text));
        p->index = (uint32_t)atoi(digits);
    }
    return 0;
}

static void note_output(struct emp_arena *a, struct emp_template *t, struct emp_str name)
{
    for (uint32_t i = 0; i < t->output_count; i++)
        if (emp_str_eq(t->outputs[i], name))
            return;
    emp_arena_reserve(a, t->outputs, t->output_count, t->output_cap);
    t->outputs[t->output_count++] = name;
}

static struct part *add_part(struct emp_arena *a, struct word *w)
{
    emp_arena_reserve(a, w->parts, w->count, w->cap);
    struct part *p = &w->parts[w->count++];
    memset(p, 0, sizeof *p);
    return p;
}

static void add_literal(struct emp_arena *a, struct word *w, struct emp_str s)
{
    if (s.len)
        add_part(a, w)->text = s;
}

/* One placeholder at s.ptr[0] == '{'; *ret_len is what it takes. */
static int placeholder(struct emp_arena *a, struct emp_template *t, struct word *w,
                       struct emp_str s, uint32_t *ret_len, struct emp_error *err)
{
    struct emp_str inner = until(from(s, 1), '}');
    if (inner.len + 1 >= s.len)
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "a '{' lacks its '}'; a brace itself is written \"{{\"");
    struct part *p = add_part(a, w);
    int r = find_kind(inner, p, err);
    if (r < 0 || (r = check_name(p, err)) < 0)
        return r;
    if (p->kind == OUTPUT)
        note_output(a, t, p->text);
    if (p->kind == PAYLOAD_FILE)
        t->wants_payload_file = true;
    *ret_len = inner.len + 2;
    return 0;
}

static int compile_word(struct emp_arena *a, struct emp_template *t, struct word *w,
                        struct emp_str s, struct emp_error *err)
{
    uint32_t start = 0, i = 0;
    while (i < s.len) {
        char c = s.ptr[i];
        bool doubled = (c == '{' || c == '}') && i + 1 < s.len && s.ptr[i + 1] == c;
        if (c == '\0')
            return emp_fail(err, EMP_E_INVALID, NULL, "a NUL byte");
        if (doubled) {
            add_literal(a, w, (struct emp_str){s.ptr + start, i + 1 - start});
            start = i += 2;
        } else if (c == '{') {
            uint32_t len = 0;
            add_literal(a, w, (struct emp_str){s.ptr + start, i - start});
            int r = placeholder(a, t, w, from(s, i), &len, err);
            if (r < 0)
                return r;
            start = i += len;
        } else {
            i++;
        }
    }
    add_literal(a, w, (struct emp_str){s.ptr + start, s.len - start});
    return 0;
}

int emp_template_compile(struct emp_arena *a, const struct emp_str *argv, uint32_t argc,
                         struct emp_template **ret, struct emp_error *err)
{
    if (argc == 0)
        return emp_fail(err, EMP_E_INVALID, "argv", "argv is empty");
    struct emp_template *t = emp_arena_new(a, struct emp_template);
    t->count = argc;
    t->words = emp_arena_array(a, struct word, argc);
    for (uint32_t i = 0; i < argc; i++) {
        struct emp_error why = {0};
        int r = compile_word(a, t, &t->words[i], emp_str_copy(a, argv[i]), &why);
        if (r < 0)
            return emp_fail(err, r, "argv", "argv[%u] \"%.*s\": %s", i, EMP_STR_FMT(argv[i]),
                            why.text);
    }
    bool fixed = true;
    for (uint32_t i = 0; i < t->words[0].count; i++)
        fixed = fixed && t->words[0].parts[i].kind == LITERAL;
    if (!fixed || t->words[0].count == 0)
        return emp_fail(err, EMP_E_INVALID, "argv",
                        "argv[0] \"%.*s\": the program is fixed by the operator, not by a job",
                        EMP_STR_FMT(argv[0]));
    *ret = t;
    return 0;
}

uint32_t emp_template_outputs(const struct emp_template *t, const struct emp_str **ret)
{
    *ret = t->outputs;
    return t->output_count;
}

bool emp_template_wants_payload_file(const struct emp_template *t)
{
    return t->wants_payload_file;
}

/* ---------------------------------------------------------------- filling */

struct filling {
    const struct emp_template_values *v;
    struct emp_arena *arena;
    struct emp_error *err;
};

static const struct emp_json *payload_member(const struct emp_json *object, struct emp_str key)
{
    while (object && key.len) {
        char name[EMP_NAME_MAX + 1];
        struct emp_str head = until(key, '.');
        if (head.len > EMP_NAME_MAX)
            return NULL;
        memcpy(name, head.ptr, head.len);
        name[head.len] = '\0';
        object = emp_json_find(object, name);
        key = from(key, head.len + 1);
    }
    return object;
}

static int fill_payload(struct filling *f, const struct part *p, struct emp_str *ret)
{
    const struct emp_json *v = payload_member(f->v->payload, p->text);
    if ((!v || v->type == EMP_JSON_NULL) && p->has_fallback) {
        *ret = p->fallback;
        return 0;
    }
    if (!v)
        return emp_fail(f->err, EMP_E_JOB_REJECTED, "payload", "payload.%.*s is missing",
                        EMP_STR_FMT(p->text));
    if (v->type != EMP_JSON_STRING && v->type != EMP_JSON_NUMBER)
        return emp_fail(f->err, EMP_E_JOB_REJECTED, "payload",
                        "payload.%.*s is %s; a string or a number is wanted", EMP_STR_FMT(p->text),
                        emp_json_type_word(v->type));
    *ret = v->type == EMP_JSON_STRING ? v->string : v->raw;
    if (ret->len > EMP_TEMPLATE_VALUE_MAX)
        return emp_fail(f->err, EMP_E_JOB_REJECTED, "payload",
                        "payload.%.*s has %u bytes; at most %d fit into an argument",
                        EMP_STR_FMT(p->text), ret->len, EMP_TEMPLATE_VALUE_MAX);
    return 0;
}

static int fill_path(struct filling *f, const char *dir, struct emp_str name, struct emp_str *ret)
{
    *ret = emp_str_z(emp_arena_printf(f->arena, "%s/%.*s", dir, EMP_STR_FMT(name)));
    return 0;
}

static int fill_input(struct filling *f, const struct part *p, struct emp_str *ret)
{
    for (uint32_t i = 0; i < f->v->input_count; i++)
        if (emp_str_eq(f->v->inputs[i], p->text))
            return fill_path(f, f->v->input_dir, p->text, ret);
    return emp_fail(f->err, EMP_E_JOB_REJECTED, "payload.inputs", "payload.inputs has no \"%.*s\"",
                    EMP_STR_FMT(p->text));
}

static int fill_output(struct filling *f, const struct part *p, struct emp_str *ret)
{
    return fill_path(f, f->v->output_dir, p->text, ret);
}

static int fill_outputs(struct filling *f, const struct part *p, struct emp_str *ret)
{
    (void)p;
    *ret = emp_str_z(f->v->output_dir);
    return 0;
}

static int fill_model(struct filling *f, const struct part *p, struct emp_str *ret)
{
    const struct emp_run_task *t = f->v->task;
    for (uint32_t i = 0; i < t->model_count; i++) {
        if (p->kind == MODEL ? !emp_str_eq(t->models[i].name, p->text) : i != p->index)
            continue;
        *ret = emp_str_z(t->models[i].path);
        return 0;
    }
    if (p->kind == MODEL)
        return emp_fail(f->err, EMP_E_JOB_REJECTED, "models",
                        "the job does not name the model \"%.*s\"", EMP_STR_FMT(p->text));
    return emp_fail(f->err, EMP_E_JOB_REJECTED, "models",
                    "the job names %u models; this service wants at least %u", t->model_count,
                    p->index + 1);
}

static int fill_model_dir(struct filling *f, const struct part *p, struct emp_str *ret)
{
    (void)p;
    *ret = emp_str_z(f->v->task->model_dir);
    return 0;
}

static int fill_payload_file(struct filling *f, const struct part *p, struct emp_str *ret)
{
    (void)p;
    *ret = emp_str_z(f->v->payload_file);
    return 0;
}

static int fill_scratch(struct filling *f, const struct part *p, struct emp_str *ret)
{
    (void)p;
    *ret = emp_str_z(f->v->task->scratch);
    return 0;
}

static int fill_job_id(struct filling *f, const struct part *p, struct emp_str *ret)
{
    (void)p;
    *ret = f->v->task->job_id;
    return 0;
}

static int fill_attempt(struct filling *f, const struct part *p, struct emp_str *ret)
{
    (void)p;
    *ret = emp_str_z(emp_arena_printf(f->arena, "%u", f->v->task->attempt));
    return 0;
}

static int fill_literal(struct filling *f, const struct part *p, struct emp_str *ret)
{
    (void)f;
    *ret = p->text;
    return 0;
}

static int fill_word(struct filling *f, const struct word *w, const char **ret)
{
    static int (*const fill[KIND_COUNT])(struct filling *, const struct part *,
                                         struct emp_str *) = {
        [LITERAL] = fill_literal, [PAYLOAD] = fill_payload,     [INPUT] = fill_input,
        [OUTPUT] = fill_output,   [OUTPUTS] = fill_outputs,     [MODEL] = fill_model,
        [MODELS] = fill_model,    [MODEL_DIR] = fill_model_dir, [PAYLOAD_FILE] = fill_payload_file,
        [SCRATCH] = fill_scratch, [JOB_ID] = fill_job_id,       [ATTEMPT] = fill_attempt,
    };
    struct emp_buf text;
    emp_buf_init(&text, 2 * EMP_TEMPLATE_VALUE_MAX);
    int r = 0;
    for (uint32_t i = 0; i < w->count && r == 0; i++) {
        const struct part *p = &w->parts[i];
        struct emp_str value;
        r = fill[p->kind](f, p, &value);
        if (r == 0 && p->kind == PAYLOAD && !p->any && text.len == 0 && value.len &&
            (value.ptr[0] == '-' || value.ptr[0] == '@'))
            r = emp_fail(f->err, EMP_E_JOB_REJECTED, "payload",
                         "payload.%.*s begins with '%c', which this service does not take",
                         EMP_STR_FMT(p->text), value.ptr[0]);
        if (r == 0)
            emp_buf_add(&text, value.ptr, value.len);
    }
    if (r == 0 && text.failed)
        r = emp_fail(f->err, EMP_E_JOB_REJECTED, "payload",
                     "an argument would be longer than %d bytes", 2 * EMP_TEMPLATE_VALUE_MAX);
    if (r == 0)
        *ret = emp_arena_dup(f->arena, text.data ? text.data : "", text.len + 1);
    emp_buf_release(&text);
    return r;
}

int emp_template_fill(const struct emp_template *t, const struct emp_template_values *v,
                      struct emp_arena *a, const char *const **ret_argv, struct emp_error *err)
{
    struct filling f = {.v = v, .arena = a, .err = err};
    const char **argv = emp_arena_array(a, const char *, t->count + 1);
    for (uint32_t i = 0; i < t->count; i++) {
        int r = fill_word(&f, &t->words[i], &argv[i]);
        if (r < 0)
            return r;
    }
    *ret_argv = argv;
    return 0;
}
