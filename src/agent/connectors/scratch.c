#include "agent/connectors/scratch.h"

#include "agent/connectors/command.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- base64 */

static int digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int64_t emp_base64_decode(const char *text, size_t len, uint8_t *out)
{
    if (len % 4)
        return EMP_E_MALFORMED;
    size_t padding = len && text[len - 1] == '=' ? (text[len - 2] == '=' ? 2 : 1) : 0;
    uint8_t *p = out;
    for (size_t i = 0; i < len; i += 4) {
        size_t digits = i + 4 < len ? 4 : 4 - padding;
        uint32_t v = 0;
        for (size_t j = 0; j < 4; j++) {
            int d = j < digits ? digit((unsigned char)text[i + j]) : 0;
            if (d < 0)
                return EMP_E_MALFORMED;
            v = v << 6 | (uint32_t)d;
        }
        if (v &
            ((1u << 8 * (4 - digits)) - 1)) // bits that belong to no byte: another writing of it
            return EMP_E_MALFORMED;
        for (size_t j = 0; j + 1 < digits; j++)
            *p++ = (uint8_t)(v >> (16 - 8 * j));
    }
    return p - out;
}

/* ---------------------------------------------------------------- inputs */

static int rejected(struct emp_error *err, struct emp_str name, const char *why)
{
    return emp_fail(err, EMP_E_JOB_REJECTED, "payload.inputs", "payload.inputs \"%.*s\": %s",
                    EMP_STR_FMT(name), why);
}

static int content(struct emp_arena *a, const struct emp_json *v, struct emp_str *ret,
                   struct emp_error *err)
{
    const struct emp_json *text = v->type == EMP_JSON_STRING ? v : emp_json_find(v, "text");
    const struct emp_json *base64 = v->type == EMP_JSON_OBJECT ? emp_json_find(v, "base64") : NULL;
    if (text && !base64 && text->type == EMP_JSON_STRING) {
        *ret = text->string;
        return 0;
    }
    if (!base64 || text || base64->type != EMP_JSON_STRING)
        return rejected(err, v->key, "a text, {\"text\": …} or {\"base64\": …} is wanted");
    uint8_t *out = emp_arena_alloc(a, base64->string.len / 4 * 3);
    int64_t n = emp_base64_decode(base64->string.ptr, base64->string.len, out);
    if (n < 0)
        return rejected(err, v->key, "this is not base64");
    *ret = (struct emp_str){(const char *)out, (uint32_t)n};
    return 0;
}

static int write_input(const char *path, struct emp_str bytes, struct emp_error *err)
{
    int r = emp_dir_make_parent(path, 0755, err);
    if (r < 0)
        return r == EMP_E_CONFLICT ? EMP_E_JOB_REJECTED : r; // an input both file and directory
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return emp_fail(
            err, errno == EEXIST || errno == EISDIR ? EMP_E_JOB_REJECTED : emp_os_error(errno),
            NULL, "cannot write input %s: %s", path, strerror(errno));
    r = emp_fd_write_all(fd, bytes.ptr, bytes.len);
    close(fd);
    return r < 0 ? emp_fail(err, r, NULL, "cannot write input %s", path) : 0;
}

int emp_inputs_write(struct emp_arena *a, const struct emp_json *payload, const char *dir,
                     struct emp_str **ret_names, uint32_t *ret_count, struct emp_error *err)
{
    const struct emp_json *inputs = emp_json_find(payload, "inputs");
    *ret_count = 0;
    if (!inputs || inputs->type == EMP_JSON_NULL)
        return 0;
    if (inputs->type != EMP_JSON_OBJECT)
        return emp_fail(err, EMP_E_JOB_REJECTED, "payload.inputs",
                        "payload.inputs is %s; an object is wanted",
                        emp_json_type_word(inputs->type));
    if (inputs->count > EMP_COMMAND_INPUTS_MAX)
        return emp_fail(err, EMP_E_JOB_REJECTED, "payload.inputs",
                        "payload.inputs has %u files; at most %d are taken", inputs->count,
                        EMP_COMMAND_INPUTS_MAX);
    *ret_names = emp_arena_array(a, struct emp_str, inputs->count);
    for (const struct emp_json *v = inputs->first; v; v = v->next) {
        struct emp_str bytes = {0};
        if (!emp_path_is_safe_relative_str(v->key))
            return rejected(err, v->key, "a relative path without \"..\" is wanted as name");
        int r = content(a, v, &bytes, err);
        if (r < 0 || (r = write_input(emp_arena_printf(a, "%s/%.*s", dir, EMP_STR_FMT(v->key)),
                                      bytes, err)) < 0)
            return r;
        (*ret_names)[(*ret_count)++] = v->key;
    }
    return 0;
}

/* ---------------------------------------------------------------- outputs */

struct walk {
    struct emp_arena *arena;
    struct emp_run_output *outputs;
    uint32_t count, cap;
    int64_t bytes, bytes_max;
    struct emp_error *err;
};

static int take_file(struct walk *w, const char *path, const char *name, int64_t bytes)
{
    if (!emp_path_is_safe_relative(name))
        return emp_fail(w->err, EMP_E_JOB_FAILED, NULL,
                        "the command wrote an output whose name is not usable: \"%s\"", name);
    if (w->count == EMP_ATTEMPT_OUTPUTS_MAX)
        return emp_fail(w->err, EMP_E_LIMIT, NULL, "the command wrote more than %d outputs",
                        EMP_ATTEMPT_OUTPUTS_MAX);
    w->bytes += bytes;
    if (w->bytes > w->bytes_max)
        return emp_fail(w->err, EMP_E_LIMIT, NULL,
                        "the command's outputs take more than the %lld bytes allowed",
                        (long long)w->bytes_max);
    emp_arena_reserve(w->arena, w->outputs, w->count, w->cap);
    w->outputs[w->count++] = (struct emp_run_output){.name = emp_str_z(name), .path = path};
    return 0;
}

static int walk_dir(struct walk *w, const char *dir, const char *prefix, int depth)
{
    if (depth > EMP_COMMAND_OUTPUT_DEPTH_MAX)
        return emp_fail(w->err, EMP_E_LIMIT, NULL,
                        "the command's outputs lie deeper than %d directories",
                        EMP_COMMAND_OUTPUT_DEPTH_MAX);
    DIR *d = opendir(dir);
    if (!d)
        return emp_fail(w->err, EMP_E_IO, NULL, "cannot read %s: %s", dir, strerror(errno));
    int r = 0;
    struct dirent *entry;
    while (r == 0 && (entry = readdir(d))) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        const char *path = emp_arena_printf(w->arena, "%s/%s", dir, entry->d_name);
        const char *name = emp_arena_printf(w->arena, "%s%s", prefix, entry->d_name);
        if (lstat(path, &st) < 0)
            r = emp_fail(w->err, EMP_E_IO, NULL, "cannot look at %s: %s", path, strerror(errno));
        else if (S_ISREG(st.st_mode))
            r = take_file(w, path, name, st.st_size);
        else if (S_ISDIR(st.st_mode))
            r = walk_dir(w, path, emp_arena_printf(w->arena, "%s/", name), depth + 1);
    }
    closedir(d);
    return r;
}

static int by_name(const void *a, const void *b)
{
    const struct emp_run_output *x = a, *y = b;
    return emp_str_cmp(x->name, y->name);
}

int emp_outputs_collect(struct emp_arena *a, const char *dir, int64_t bytes_max,
                        struct emp_run_output **ret_outputs, uint32_t *ret_count,
                        struct emp_error *err)
{
    struct walk w = {.arena = a, .bytes_max = bytes_max, .err = err};
    int r = walk_dir(&w, dir, "", 0);
    if (r < 0)
        return r;
    if (w.count)
        qsort(w.outputs, w.count, sizeof *w.outputs, by_name);
    *ret_outputs = w.outputs;
    *ret_count = w.count;
    return 0;
}
