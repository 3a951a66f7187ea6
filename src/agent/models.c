/* Notes are small JSON files, read again at every start: thousands of models make thousands of
 * reads of a kilobyte, which is nothing beside what they stand for. Rejected: one index file, which
 * a crash between two models' changes could leave behind the disk. */
#include "agent/models.h"

#include "os/files.h"
#include "os/sha256.h"
#include "proto/json.h"
#include "proto/writer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTE_BYTES_MAX = 16384 };

int emp_models_init(struct emp_models *m, uv_loop_t *loop, const char *dir, struct emp_error *err)
{
    m->loop = loop;
    m->lock.fd = -1;
    emp_arena_init(&m->arena, 0);
    emp_map_init(&m->by_path, &m->arena);
    emp_slab_init(&m->keys, &m->arena, EMP_MODELS_KEY);
    int r = emp_dir_make(dir, 0755, err);
    if (r < 0)
        return r;
    char *real = realpath(dir, NULL);
    if (!real || strlen(real) + 8 > sizeof m->dir) {
        free(real);
        return emp_fail(err, EMP_E_IO, "models.dir", "%s is no usable directory: %s", dir,
                        strerror(errno));
    }
    snprintf(m->dir, sizeof m->dir, "%s", real);
    free(real);
    int n = snprintf(m->aside, sizeof m->aside, "%s/.emp", m->dir);
    if (n >= (int)sizeof m->aside)
        return emp_fail(err, EMP_E_TOO_LARGE, "models.dir", "the path %s is too long", m->dir);
    r = emp_dir_make(m->aside, 0755, err);
    return r < 0 ? r : emp_dir_lock_take(&m->lock, m->aside, err);
}

void emp_models_release(struct emp_models *m)
{
    emp_dir_lock_release(&m->lock);
    emp_arena_release(&m->arena);
}

/* ---------------------------------------------------------------- paths */

static void key_of(struct emp_str name, char out[EMP_MODELS_KEY])
{
    uint8_t digest[EMP_SHA256_BYTES];
    char hex[EMP_SHA256_HEX];
    emp_sha256_of(name.ptr, name.len, digest);
    emp_sha256_hex(digest, hex);
    snprintf(out, EMP_MODELS_KEY, "%.32s", hex);
}

static void aside_path(const struct emp_models *m, struct emp_str name, const char *suffix,
                       char out[EMP_MODELS_PATH])
{
    char key[EMP_MODELS_KEY];
    key_of(name, key);
    if (snprintf(out, EMP_MODELS_PATH, "%s/%s%s", m->aside, key, suffix) >= EMP_MODELS_PATH)
        abort(); // emp_models_init has left room
}

void emp_models_part_path(const struct emp_models *m, struct emp_str name,
                          char out[EMP_MODELS_PATH])
{
    aside_path(m, name, ".part", out);
}

int emp_models_path(const struct emp_models *m, struct emp_str path, char out[EMP_MODELS_PATH],
                    struct emp_error *err)
{
    bool aside = path.len >= 4 && memcmp(path.ptr, ".emp", 4) == 0 &&
                 (path.len == 4 || path.ptr[4] == '/');
    if (!emp_path_is_safe_relative_str(path) || aside)
        return emp_fail(err, EMP_E_INVALID, "path", "\"%.*s\" is no usable path for a model",
                        EMP_STR_FMT(path));
    if (snprintf(out, EMP_MODELS_PATH, "%s/%.*s", m->dir, EMP_STR_FMT(path)) >= EMP_MODELS_PATH)
        return emp_fail(err, EMP_E_INVALID, "path", "the model's path is too long: %.*s",
                        EMP_STR_FMT(path));
    return 0;
}

/* ---------------------------------------------------------------- notes */

static uint64_t path_hash(struct emp_str path)
{
    return emp_str_hash(path) | 1; // 0 is no key
}

/* A path has one note; what became of the one before is seen when it is read. */
static void index_note(struct emp_models *m, struct emp_str name, struct emp_str path)
{
    uint32_t at;
    char *key;
    if (emp_map_get(&m->by_path, path_hash(path), &at)) {
        key = emp_slab_at(&m->keys, at);
    } else {
        key = emp_slab_new(&m->keys, &at);
        emp_map_put(&m->by_path, path_hash(path), at);
    }
    key_of(name, key);
}

int emp_models_note_write(struct emp_models *m, const struct emp_models_note *n,
                          struct emp_error *err)
{
    char path[EMP_MODELS_PATH];
    struct emp_buf text;
    struct emp_writer w;
    emp_buf_init(&text, NOTE_BYTES_MAX);
    emp_writer_init(&w, &text);
    emp_write_object(&w, NULL);
    emp_write_str(&w, "name", n->name);
    emp_write_str(&w, "path", n->path);
    emp_write_i64(&w, "bytes", n->bytes);
    emp_write_str_opt(&w, "sha256", emp_str_z(n->sha256));
    emp_write_str_opt(&w, "etag", n->etag);
    emp_write_str_opt(&w, "url", n->url);
    if (n->pinned)
        emp_write_bool(&w, "pinned", true);
    emp_write_end(&w);
    aside_path(m, n->name, ".json", path);
    int r = text.failed ? emp_fail(err, EMP_E_TOO_LARGE, NULL,
                                   "the notes on model \"%.*s\" are too long", EMP_STR_FMT(n->name))
                        : emp_file_write_atomic(path, text.data, text.len, 0644, err);
    emp_buf_release(&text);
    if (r == 0)
        index_note(m, n->name, n->path);
    return r;
}

void emp_models_note_drop(const struct emp_models *m, struct emp_str name)
{
    char path[EMP_MODELS_PATH];
    aside_path(m, name, ".json", path);
    unlink(path);
}

static struct emp_str member(const struct emp_json *o, const char *name)
{
    const struct emp_json *v = emp_json_find(o, name);
    return v && v->type == EMP_JSON_STRING ? v->string : (struct emp_str){0};
}

static int read_note(const char *path, struct emp_arena *a, struct emp_models_note *ret)
{
    struct emp_buf text;
    struct emp_json *o = NULL;
    emp_buf_init(&text, NOTE_BYTES_MAX);
    int r = emp_file_read_all(path, NOTE_BYTES_MAX, &text, NULL);
    if (r >= 0) {
        char *copy = emp_arena_dup(a, text.data ? text.data : "", text.len + 1);
        r = emp_json_parse(a, copy, text.len, NULL, &o, NULL);
    }
    emp_buf_release(&text);
    if (r < 0)
        return r;
    const struct emp_json *bytes = emp_json_find(o, "bytes");
    struct emp_str sha = member(o, "sha256");
    *ret = (struct emp_models_note){.name = member(o, "name"),
                                    .path = member(o, "path"),
                                    .etag = member(o, "etag"),
                                    .url = member(o, "url")};
    if (!bytes || !emp_json_integer(bytes, &ret->bytes) || ret->bytes <= 0 ||
        ret->bytes > EMP_BYTES_MAX || ret->name.len == 0 ||
        !emp_path_is_safe_relative_str(ret->path) || (sha.len && sha.len != 64))
        return EMP_E_MALFORMED;
    if (sha.len)
        memcpy(ret->sha256, sha.ptr, 64);
    const struct emp_json *pinned = emp_json_find(o, "pinned");
    ret->pinned = pinned && emp_json_true(pinned);
    return 0;
}

int emp_models_note_read(const struct emp_models *m, struct emp_str name, struct emp_arena *a,
                         struct emp_models_note *ret)
{
    char path[EMP_MODELS_PATH];
    aside_path(m, name, ".json", path);
    return read_note(path, a, ret);
}

/* ---------------------------------------------------------------- inventory */

struct search {
    struct emp_models *m;
    struct emp_arena *arena;
    struct emp_machine_found *found;
    uint32_t count, cap;
    int64_t bytes;
    struct emp_intern paths; /* of noted models */
};

static int64_t size_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
}

static void add_found(struct search *s, const struct emp_machine_found *f)
{
    emp_arena_reserve(s->arena, s->found, s->count, s->cap);
    s->found[s->count++] = *f;
    s->bytes += f->half_bytes ? f->half_bytes : f->bytes;
}

/* A note is kept when its model is whole or half there. False: forget it. */
static bool take_note(struct search *s, const char *path)
{
    struct emp_models_note n;
    char whole[EMP_MODELS_PATH], part[EMP_MODELS_PATH];
    if (read_note(path, s->arena, &n) < 0 || emp_models_path(s->m, n.path, whole, NULL) < 0 ||
        emp_intern_find(&s->paths, n.path))
        return false;
    struct emp_machine_found f = {
        .name = n.name, .path = n.path, .bytes = n.bytes, .pinned = n.pinned};
    memcpy(f.sha256, n.sha256, sizeof f.sha256);
    emp_models_part_path(s->m, n.name, part);
    int64_t there = size_of(whole), half = size_of(part);
    if (there == n.bytes) {
        unlink(part);
    } else if (half > 0 && half <= n.bytes) {
        if (truncate(part, half) < 0) // gives back what was reserved beyond its end
            return false;
        f.half_bytes = half;
        if (there >= 0)
            unlink(whole); // ours, and not what we made of it
    } else {
        unlink(part);
        if (there >= 0)
            unlink(whole);
        return false;
    }
    emp_intern(&s->paths, n.path);
    index_note(s->m, n.name, n.path);
    add_found(s, &f);
    return true;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

/* Is there a note beside this part? */
static bool has_note(const char *part)
{
    char note[EMP_MODELS_PATH];
    size_t stem = strlen(part) - strlen(".part");
    return snprintf(note, sizeof note, "%.*s.json", (int)stem, part) < (int)sizeof note &&
           access(note, F_OK) == 0;
}

static int search_aside(struct search *s, struct emp_error *err)
{
    for (int parts = 0; parts < 2; parts++) { // notes first: they decide which parts stay
        DIR *d = opendir(s->m->aside);
        if (!d)
            return emp_fail(err, EMP_E_IO, NULL, "cannot read %s: %s", s->m->aside,
                            strerror(errno));
        struct dirent *e;
        while ((e = readdir(d))) {
            char path[EMP_MODELS_PATH];
            if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0 ||
                snprintf(path, sizeof path, "%s/%s", s->m->aside, e->d_name) >= (int)sizeof path)
                continue;
            bool keep = ends_with(path, ".json")
                            ? parts || take_note(s, path)
                            : !parts || (ends_with(path, ".part") && has_note(path));
            if (!keep)
                unlink(path);
        }
        closedir(d);
    }
    return 0;
}

/* Files that others have put there. */
static void search_foreign(struct search *s, const char *dir, const char *prefix, int depth)
{
    DIR *d = depth <= EMP_MODELS_DEPTH_MAX ? opendir(dir) : NULL;
    if (!d)
        return;
    struct dirent *e;
    while ((e = readdir(d)) && s->count < EMP_MODELS_MAX) {
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        const char *path = emp_arena_printf(s->arena, "%s/%s", dir, e->d_name);
        const char *name = emp_arena_printf(s->arena, "%s%s", prefix, e->d_name);
        if (lstat(path, &st) < 0 || !emp_path_is_safe_relative(name))
            continue;
        if (S_ISDIR(st.st_mode)) {
            search_foreign(s, path, emp_arena_printf(s->arena, "%s/", name), depth + 1);
        } else if (S_ISREG(st.st_mode) && st.st_size > 0 && strlen(name) <= EMP_NAME_MAX &&
                   !emp_intern_find(&s->paths, emp_str_z(name))) {
            struct emp_machine_found f = {.name = emp_str_z(name),
                                          .path = emp_str_z(name),
                                          .bytes = st.st_size,
                                          .pinned = true};
            add_found(s, &f);
        }
    }
    closedir(d);
}

int emp_models_inventory(struct emp_models *m, struct emp_arena *a, struct emp_machine_found **ret,
                         uint32_t *ret_count, int64_t *ret_bytes, struct emp_error *err)
{
    struct search s = {.m = m, .arena = a};
    emp_intern_init(&s.paths, a);
    int r = search_aside(&s, err);
    if (r < 0)
        return r;
    search_foreign(&s, m->dir, "", 0);
    *ret = s.found;
    *ret_count = s.count;
    *ret_bytes = s.bytes;
    return 0;
}

struct emp_str emp_models_path_owner(const struct emp_models *m, struct emp_arena *a,
                                     struct emp_str name, struct emp_str path)
{
    struct emp_models_note n;
    uint32_t at;
    if (!emp_map_get(&m->by_path, path_hash(path), &at))
        return (struct emp_str){0};
    const char *key = emp_slab_at(&m->keys, at);
    bool other = read_note(emp_arena_printf(a, "%s/%s.json", m->aside, key), a, &n) >= 0 &&
                 emp_str_eq(n.path, path) && !emp_str_eq(n.name, name);
    return other ? n.name : (struct emp_str){0};
}

/* ---------------------------------------------------------------- deleting */

struct deletion {
    uv_work_t work;
    char whole[EMP_MODELS_PATH], part[EMP_MODELS_PATH], note[EMP_MODELS_PATH];
    char name[EMP_NAME_MAX + 1];
    struct emp_error err;
    void (*done)(void *arg, struct emp_str name, const struct emp_error *err);
    void *arg;
};

/* The note goes last: while it stands, a crash leaves nothing that the next start would not find.
 */
static void delete_work(uv_work_t *w)
{
    struct deletion *d = w->data;
    const char *const files[] = {d->whole, d->part, d->note};
    for (size_t i = 0; i < 3; i++) {
        if (files[i][0] == '\0' || unlink(files[i]) == 0 || errno == ENOENT || errno == ENOTDIR)
            continue;
        emp_fail(&d->err, emp_os_error(errno), NULL, "cannot delete %s: %s", files[i],
                 strerror(errno));
        return;
    }
}

static void delete_after(uv_work_t *w, int status)
{
    struct deletion *d = w->data;
    (void)status;
    d->done(d->arg, emp_str_z(d->name), &d->err);
    free(d);
}

void emp_models_delete(struct emp_models *m, struct emp_str name, struct emp_str path,
                       void (*done)(void *arg, struct emp_str name, const struct emp_error *err),
                       void *arg)
{
    struct deletion *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->work.data = d;
    d->done = done;
    d->arg = arg;
    snprintf(d->name, sizeof d->name, "%.*s", EMP_STR_FMT(name));
    if (emp_models_path(m, path, d->whole, &d->err) < 0)
        d->whole[0] = '\0';
    d->err = (struct emp_error){0};
    aside_path(m, name, ".part", d->part);
    aside_path(m, name, ".json", d->note);
    uv_queue_work(m->loop, &d->work, delete_work, delete_after);
}
