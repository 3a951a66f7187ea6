#include "cli/view.h"

#include "cli/terminal.h"
#include "proto/writer.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static bool is(const struct emp_json *v, enum emp_json_type type)
{
    return v && v->type == type;
}

const struct emp_json *emp_view_get(const struct emp_json *o, const char *path)
{
    char key[128];
    while (o && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof key || !is(o, EMP_JSON_OBJECT))
            return NULL;
        memcpy(key, path, len);
        key[len] = 0;
        o = emp_json_find(o, key);
        path += len + (path[len] == '.');
    }
    return is(o, EMP_JSON_NULL) ? NULL : o;
}

struct emp_str emp_view_text(const struct emp_json *o, const char *path)
{
    const struct emp_json *v = emp_view_get(o, path);
    if (is(v, EMP_JSON_STRING))
        return v->string;
    return is(v, EMP_JSON_NUMBER) || is(v, EMP_JSON_BOOL) ? v->raw : (struct emp_str){0};
}

double emp_view_number(const struct emp_json *o, const char *path)
{
    const struct emp_json *v = emp_view_get(o, path);
    return is(v, EMP_JSON_NUMBER) ? emp_json_number(v) : NAN;
}

bool emp_view_true(const struct emp_json *o, const char *path)
{
    const struct emp_json *v = emp_view_get(o, path);
    return is(v, EMP_JSON_BOOL) && emp_json_true(v);
}

const struct emp_json *emp_view_first(const struct emp_json *o, const char *path)
{
    const struct emp_json *v = emp_view_get(o, path);
    return is(v, EMP_JSON_ARRAY) ? v->first : NULL;
}

uint32_t emp_view_count(const struct emp_json *o, const char *path)
{
    const struct emp_json *v = emp_view_get(o, path);
    return is(v, EMP_JSON_ARRAY) ? v->count : 0;
}

emp_wall_ms emp_view_time(const struct emp_json *o, const char *path)
{
    const struct emp_json *v = emp_view_get(o, path);
    emp_wall_ms t = 0;
    int64_t n;
    if (is(v, EMP_JSON_NUMBER) && emp_json_integer(v, &n))
        t = n;
    else if (is(v, EMP_JSON_STRING))
        emp_iso_parse(v->string.ptr, v->string.len, &t);
    return t;
}

void emp_view_join(const struct emp_json *o, const char *path, struct emp_buf *out)
{
    const struct emp_json *first = emp_view_first(o, path);
    for (const struct emp_json *v = first; v; v = v->next) {
        struct emp_str text = emp_view_text(v, v->type == EMP_JSON_OBJECT ? "name" : "");
        emp_buf_addz(out, v == first ? "" : ", ");
        emp_buf_add(out, text.ptr, text.len);
    }
}

static void add_key(struct emp_str key, struct emp_buf *out)
{
    struct emp_buf text;
    struct emp_writer w;
    emp_buf_init(&text, 65536);
    emp_writer_init(&w, &text);
    emp_write_str(&w, NULL, key);
    emp_text_safe(emp_str_z(text.data), 0, out);
    emp_buf_addz(out, ": ");
    emp_buf_release(&text);
}

void emp_view_pretty(const struct emp_json *v, unsigned depth, struct emp_buf *out)
{
    bool object = v->type == EMP_JSON_OBJECT;
    if (!v->first) { /* a plain value, an empty container, or one that the parser left closed */
        emp_text_safe(v->raw, 0, out);
        return;
    }
    emp_buf_addz(out, object ? "{" : "[");
    for (const struct emp_json *c = v->first; c; c = c->next) {
        emp_buf_printf(out, "%s\n%*s", c == v->first ? "" : ",", (int)(depth + 1) * 2, "");
        if (object)
            add_key(c->key, out);
        emp_view_pretty(c, depth + 1, out);
    }
    emp_buf_printf(out, "\n%*s%s", (int)depth * 2, "", object ? "}" : "]");
}

const char *emp_span_text(double s, char out[EMP_SPAN_TEXT_MAX])
{
    double a = fabs(s);
    const char *minus = s < 0 ? "-" : "";
    if (isnan(s))
        out[0] = 0;
    else if (a == 0)
        snprintf(out, EMP_SPAN_TEXT_MAX, "0 s");
    else if (a < 0.9995)
        snprintf(out, EMP_SPAN_TEXT_MAX, "%s%.0f ms", minus, a * 1000);
    else if (a < 9.995)
        snprintf(out, EMP_SPAN_TEXT_MAX, "%s%.2f s", minus, a);
    else if (a < 119.95)
        snprintf(out, EMP_SPAN_TEXT_MAX, "%s%.1f s", minus, a);
    else if (a < 7200)
        snprintf(out, EMP_SPAN_TEXT_MAX, "%s%d min %d s", minus, (int)a / 60, (int)a % 60);
    else if (a < 172800)
        snprintf(out, EMP_SPAN_TEXT_MAX, "%s%d h %d min", minus, (int)a / 3600, (int)a / 60 % 60);
    else
        snprintf(out, EMP_SPAN_TEXT_MAX, "%s%.1f days", minus, a / 86400);
    return out;
}

const char *emp_size_text(double bytes, char out[EMP_SIZE_TEXT_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t u = 0;
    out[0] = 0;
    if (!isfinite(bytes))
        return out;
    for (; fabs(bytes) >= 999.5 && u + 1 < sizeof units / sizeof *units; u++)
        bytes /= 1000;
    snprintf(out, EMP_SIZE_TEXT_MAX, "%.*f %s", u == 0 || fabs(bytes) >= 99.95 ? 0 : 1, bytes,
             units[u]);
    return out;
}

const char *emp_between_text(emp_wall_ms from, emp_wall_ms to, char out[EMP_SPAN_TEXT_MAX])
{
    out[0] = 0;
    return from && to ? emp_span_text((double)(to - from) / 1000, out) : out;
}

emp_wall_ms emp_wall_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (emp_wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void emp_url_escape(const char *text, struct emp_buf *out)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c))
            emp_buf_printf(out, "%c", c);
        else
            emp_buf_printf(out, "%%%02X", c);
    }
}
