/* One state machine per fetch, every step of which is a callback:
 *
 *   open ─► (hash what is there) ─► ask a mirror ─► receive ─► check ─► publish ─► done
 *                                      ▲    │
 *                                      └────┴─ pause, next mirror
 *
 * A part may be resumed when there is a hash to find a mistake by, or when it came from the same
 * URL with the same ETag. Bytes of two mirrors in one file whose hash is wrong blame nobody: then
 * it is fetched whole from one mirror before that one is called a liar. */
#include "agent/transfer.h"

#include "base/random.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/random.h"
#include "os/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TRIES = 6, /* in a row without new bytes, per mirror at most TRIES_MIRROR */
    TRIES_MIRROR = 3,
    STALL_MS = 30000,
    PAUSE_MS = 500,
    PAUSE_MS_MAX = 10000,
    PROGRESS_MS = 250,
    KEEP_BYTES = 65536, /* a smaller part is not worth keeping */
    HASH_CHUNK = 1 << 20,
    HASH_FAULTS_MAX = 2, /* then the mirror is blamed even where others have contributed */
    EARLIER = -1,
};

struct mirror {
    uint32_t tries;
    bool out; /* not asked again */
};

struct emp_transfer {
    struct emp_transfer_options o;
    struct emp_transfer_sink sink;
    const struct emp_model *model;
    struct emp_arena arena;
    char part[EMP_MODELS_PATH], whole[EMP_MODELS_PATH];
    int fd;
    int64_t at;       /* bytes in the part, all of them hashed */
    int64_t try_from; /* `at` when this try began */
    int64_t best;     /* how far any try came: only beyond it is progress */
    struct emp_sha256 *sha;
    struct mirror mirrors[EMP_MODEL_URLS_MAX];
    uint32_t mirror_count, mirror; /* the one being asked */
    uint32_t tries;                /* in a row without new bytes */
    int part_mirror; /* whose bytes the part holds; EARLIER: of an earlier life, or of several */
    uint32_t hash_faults;
    char *etag; /* of the part; NULL: none */
    struct emp_str etag_url;
    struct emp_http_fetch *fetch;
    bool metered;
    uv_timer_t timer;
    uv_work_t work;
    bool working;
    bool cancelled;
    emp_mono_ms progress_at;
    struct emp_random random;
    struct emp_error err; /* of the last try, or of the end */
    bool machine_fault;
};

static void ask(struct emp_transfer *t);
static void publish(struct emp_transfer *t);

/* ---------------------------------------------------------------- the end */

static void on_closed(uv_handle_t *h)
{
    struct emp_transfer *t = h->data;
    emp_arena_release(&t->arena);
    free(t->etag);
    free(t);
}

static bool resumable(const struct emp_transfer *t)
{
    return t->model->sha256[0] || t->etag;
}

/* The note goes with it: what has no file owns no path. */
static void drop_part(struct emp_transfer *t)
{
    if (t->part[0] == '\0')
        return; // refused before anything was made
    unlink(t->part);
    emp_models_note_drop(t->o.models, t->model->name);
}

static void conclude(struct emp_transfer *t, int code)
{
    bool keep = (code == EMP_E_NET || code == EMP_E_TIMEOUT || code == EMP_E_CANCELLED) &&
                resumable(t) && t->at >= KEEP_BYTES;
    if (t->fd >= 0)
        close(t->fd);
    if (code < 0 && !keep)
        drop_part(t);
    else if (code < 0 && truncate(t->part, t->at) < 0) // gives back what fallocate promised beyond
        keep = false;
    emp_sha256_free(t->sha);
    struct emp_transfer_end end = {.model = t->model->name,
                                   .code = code,
                                   .text = t->err.text,
                                   .machine_fault = t->machine_fault,
                                   .kept_bytes = code < 0 && keep ? t->at : 0};
    t->sink.done(t->sink.arg, &end);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

static int machine_fails(struct emp_transfer *t, const char *what, int errnum)
{
    t->machine_fault = true;
    return emp_fail(&t->err, emp_os_error(errnum), NULL, "model \"%.*s\": %s: %s",
                    EMP_STR_FMT(t->model->name), what, strerror(errnum));
}

static void on_conclude(uv_timer_t *timer)
{
    struct emp_transfer *t = timer->data;
    conclude(t, t->err.code);
}

/* The same from a later turn of the loop. */
static void conclude_later(struct emp_transfer *t)
{
    uv_timer_start(&t->timer, on_conclude, 0, 0);
}

static bool ended_by_cancel(struct emp_transfer *t)
{
    if (!t->cancelled)
        return false;
    conclude(t, emp_fail(&t->err, EMP_E_CANCELLED, NULL, "nobody wants model \"%.*s\" any more",
                         EMP_STR_FMT(t->model->name)));
    return true;
}

/* ---------------------------------------------------------------- the part */

static struct emp_str url_of(const struct emp_transfer *t)
{
    return t->model->urls[t->mirror];
}

/* "origin.example:8080", for messages */
static struct emp_str host_of(struct emp_str url)
{
    const char *p = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
    if (!p)
        return url;
    struct emp_str host = {p + 3, (uint32_t)(url.ptr + url.len - p - 3)};
    for (uint32_t i = 0; i < host.len; i++) {
        if (host.ptr[i] == '@') { // names and passwords do not belong into messages
            host = (struct emp_str){host.ptr + i + 1, host.len - i - 1};
            i = UINT32_MAX;
        } else if (host.ptr[i] == '/' || host.ptr[i] == '?') {
            host.len = i;
        }
    }
    return host;
}

static int start_over(struct emp_transfer *t)
{
    emp_sha256_reset(t->sha);
    t->at = t->try_from = 0;
    if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0)
        return machine_fails(t, "its part cannot be emptied", errno);
    return 0;
}

static int write_note(struct emp_transfer *t)
{
    struct emp_models_note n = {.name = t->model->name,
                                .path = t->model->path,
                                .bytes = t->model->bytes,
                                .pinned = t->model->pinned,
                                .url = t->etag_url};
    if (t->etag)
        n.etag = emp_str_z(t->etag);
    memcpy(n.sha256, t->model->sha256, sizeof n.sha256);
    int r = emp_models_note_write(t->o.models, &n, &t->err);
    if (r < 0)
        t->machine_fault = true;
    return r;
}

/* Is what lies there a part of this very model, that can be built on? */
static bool usable_part(struct emp_transfer *t, int64_t bytes)
{
    struct emp_models_note n;
    if (bytes <= 0 || bytes > t->model->bytes ||
        emp_models_note_read(t->o.models, t->model->name, &t->arena, &n) < 0)
        return false;
    if (n.bytes != t->model->bytes || strcmp(n.sha256, t->model->sha256) != 0)
        return false;
    if (n.etag.len && n.url.len) {
        t->etag = emp_str_heap(n.etag);
        t->etag_url = n.url;
    }
    return resumable(t);
}

static int open_part(struct emp_transfer *t, int64_t *ret_bytes)
{
    struct stat st;
    emp_models_part_path(t->o.models, t->model->name, t->part);
    t->fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (t->fd < 0 || fstat(t->fd, &st) < 0)
        return machine_fails(t, "its part cannot be opened", errno);
    *ret_bytes = usable_part(t, st.st_size) ? st.st_size : 0;
    if (*ret_bytes == 0 && start_over(t) < 0)
        return t->err.code;
    /* Says at once what the disk cannot hold; file systems that cannot promise room are forgiven.
     */
    if (fallocate(t->fd, FALLOC_FL_KEEP_SIZE, 0, t->model->bytes) < 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return machine_fails(t, "no room on the disk", errno);
    return write_note(t);
}

/* ---------------------------------------------------------------- hashing what is there */

static void hash_work(uv_work_t *w)
{
    struct emp_transfer *t = w->data;
    char *chunk = malloc(HASH_CHUNK);
    ssize_t n = 0;
    int64_t left = t->try_from;
    while (chunk && left > 0 &&
           (n = read(t->fd, chunk, left < HASH_CHUNK ? (size_t)left : HASH_CHUNK)) > 0) {
        emp_sha256_add(t->sha, chunk, (size_t)n);
        left -= n;
    }
    t->at = t->try_from - left;
    free(chunk);
}

static void check(struct emp_transfer *t);

static void hash_after(uv_work_t *w, int status)
{
    struct emp_transfer *t = w->data;
    (void)status;
    t->working = false;
    if (ended_by_cancel(t))
        return;
    t->part_mirror = EARLIER;
    if (t->at != t->try_from && start_over(t) < 0) {
        conclude(t, t->err.code);
        return;
    }
    if (t->at == t->model->bytes)
        check(t);
    else
        ask(t);
}

/* A file that stands there already, put by others: taken over when it is the right one. */
static bool take_whole(struct emp_transfer *t)
{
    struct stat st;
    if (lstat(t->whole, &st) < 0)
        return false;
    if (!S_ISREG(st.st_mode) || st.st_size != t->model->bytes)
        return false;
    int fd = open(t->whole, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    close(t->fd);
    t->fd = fd;
    return true;
}

static void adopt_work(uv_work_t *w)
{
    struct emp_transfer *t = w->data;
    t->try_from = t->model->bytes;
    hash_work(w);
}

static bool hash_is_right(struct emp_transfer *t)
{
    uint8_t digest[EMP_SHA256_BYTES];
    char hex[EMP_SHA256_HEX];
    emp_sha256_end(t->sha, digest);
    emp_sha256_hex(digest, hex);
    emp_sha256_reset(t->sha);
    return t->model->sha256[0] == '\0' || strcmp(hex, t->model->sha256) == 0;
}

static void adopt_after(uv_work_t *w, int status)
{
    struct emp_transfer *t = w->data;
    (void)status;
    int64_t read_bytes = t->at;
    t->working = false;
    t->at = 0; // of the part there is nothing yet
    if (ended_by_cancel(t))
        return;
    if (read_bytes == t->model->bytes && hash_is_right(t)) {
        unlink(t->part);
        conclude(t, 0);
        return;
    }
    close(t->fd);
    int64_t there = 0;
    emp_sha256_reset(t->sha);
    if (open_part(t, &there) < 0 || start_over(t) < 0)
        conclude(t, t->err.code);
    else
        ask(t);
}

/* ---------------------------------------------------------------- asking */

static bool next_mirror(struct emp_transfer *t)
{
    for (uint32_t i = 1; i <= t->mirror_count; i++) {
        uint32_t m = (t->mirror + i) % t->mirror_count;
        if (t->mirrors[m].out || t->mirrors[m].tries >= TRIES_MIRROR)
            continue;
        t->mirror = m;
        return true;
    }
    return false;
}

static void on_pause_over(uv_timer_t *timer)
{
    struct emp_transfer *t = timer->data;
    if (!ended_by_cancel(t))
        ask(t);
}

/* After a try that failed: err says why. What cannot get better with another mirror ends it. */
static void try_again(struct emp_transfer *t)
{
    if (t->machine_fault || t->tries >= TRIES || !next_mirror(t)) {
        conclude(t, t->err.code);
        return;
    }
    int64_t pause = t->o.pause_ms;
    for (uint32_t i = t->mirror_count; i <= t->tries && pause < PAUSE_MS_MAX; i += t->mirror_count)
        pause *= 2;
    if (pause > PAUSE_MS_MAX)
        pause = PAUSE_MS_MAX;
    if (t->tries < t->mirror_count)
        pause = 0; // the others have not been asked yet
    pause = pause / 2 + (int64_t)emp_random_below(&t->random, (uint64_t)pause / 2 + 1);
    uv_timer_start(&t->timer, on_pause_over, (uint64_t)pause, 0);
}

static int lie(struct emp_transfer *t, int code, const char *what, int64_t said)
{
    t->mirrors[t->mirror].out = true;
    return emp_fail(&t->err, code, NULL,
                    "model \"%.*s\": %.*s %s %lld; the catalogue says %lld bytes",
                    EMP_STR_FMT(t->model->name), EMP_STR_FMT(host_of(url_of(t))), what,
                    (long long)said, (long long)t->model->bytes);
}

static void note_etag(struct emp_transfer *t, const char *etag)
{
    free(t->etag);
    t->etag = etag && *etag ? strdup(etag) : NULL;
    t->etag_url = t->etag ? url_of(t) : (struct emp_str){0};
}

static int on_head(void *ctx, const struct emp_http_head *head)
{
    struct emp_transfer *t = ctx;
    if (head->status < 200 || head->status > 299)
        return 0; // on_done judges
    if (head->total >= 0 && head->total != t->model->bytes)
        return lie(t, EMP_E_SIZE, "announces a length of", head->total);
    if (head->offset != t->at) {
        if (head->offset != 0)
            return lie(t, EMP_E_NET, "does not resume where asked but at byte", head->offset);
        int r = start_over(t); // it cannot resume, or its file has changed
        if (r < 0)
            return r;
    }
    if (t->at == 0)
        t->part_mirror = (int)t->mirror;
    else if (t->part_mirror != (int)t->mirror)
        t->part_mirror = EARLIER;
    note_etag(t, head->etag);
    if (t->at == 0 && t->etag)
        return write_note(t);
    return 0;
}

static void tell_progress(struct emp_transfer *t)
{
    t->progress_at = emp_mono_now();
    t->sink.progress(t->sink.arg, t->model->name, t->at);
}

static void on_progress_due(uv_timer_t *timer)
{
    tell_progress(timer->data);
}

static int on_data(void *ctx, const void *data, size_t len)
{
    struct emp_transfer *t = ctx;
    emp_mono_ms now = emp_mono_now();
    if (t->at + (int64_t)len > t->model->bytes)
        return lie(t, EMP_E_SIZE, "sends more bytes than", t->model->bytes);
    int r = emp_fd_write_all(t->fd, data, len);
    if (r < 0) {
        t->machine_fault = true;
        return emp_fail(&t->err, r, NULL, "model \"%.*s\": writing it failed: %s",
                        EMP_STR_FMT(t->model->name), emp_error_text(r));
    }
    emp_sha256_add(t->sha, data, len);
    t->at += (int64_t)len;
    emp_meter_add(t->o.meter, now, (int64_t)len);
    if (now - t->progress_at >= PROGRESS_MS)
        tell_progress(t);
    else if (!uv_is_active((uv_handle_t *)&t->timer)) // so that the last bytes before a stall count
        uv_timer_start(&t->timer, on_progress_due, PROGRESS_MS, 0);
    return 0;
}

/* What an HTTP status means for a mirror. */
static int status_code(int status)
{
    static const struct {
        int status, code;
    } known[] = {{401, EMP_E_UNAUTHORIZED},
                 {403, EMP_E_FORBIDDEN},
                 {404, EMP_E_NOT_FOUND},
                 {410, EMP_E_NOT_FOUND}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].code;
    return EMP_E_NET;
}

static void judge_status(struct emp_transfer *t, int status)
{
    bool again = status >= 500 || status == 429 || status == 408;
    if (status == 416 && t->at > 0) { // there is no such byte: begin anew
        if (start_over(t) < 0)
            return;
        again = true;
    }
    t->mirrors[t->mirror].out = !again;
    emp_fail(&t->err, status_code(status), NULL, "model \"%.*s\": %.*s answers with status %d",
             EMP_STR_FMT(t->model->name), EMP_STR_FMT(host_of(url_of(t))), status);
}

static void on_done(void *ctx, const struct emp_http_result *r)
{
    struct emp_transfer *t = ctx;
    t->fetch = NULL;
    uv_timer_stop(&t->timer);
    if (t->metered)
        emp_meter_end(t->o.meter, emp_mono_now());
    t->metered = false;
    if (ended_by_cancel(t))
        return;
    if (t->at > t->best) {
        t->best = t->at;
        t->tries = t->mirrors[t->mirror].tries = 0;
    }
    if (r->code == 0 && r->status >= 200 && r->status <= 299 && t->at == t->model->bytes) {
        check(t);
        return;
    }
    t->tries++;
    t->mirrors[t->mirror].tries++;
    if (r->code == 0 && (r->status < 200 || r->status > 299))
        judge_status(t, r->status);
    else if (r->code == 0)
        lie(t, EMP_E_SIZE, "ends after byte", t->at);
    else if (!t->machine_fault && !t->mirrors[t->mirror].out) // else on_head or on_data has said it
        emp_fail(&t->err, r->code == EMP_E_TIMEOUT ? EMP_E_TIMEOUT : EMP_E_NET, NULL,
                 "model \"%.*s\": after %lld of %lld bytes: %s", EMP_STR_FMT(t->model->name),
                 (long long)t->at, (long long)t->model->bytes, r->text);
    bool tainted = t->at > t->try_from && t->err.code == EMP_E_SIZE;
    if (tainted) {
        struct emp_error why = t->err;
        if (start_over(t) == 0)
            t->err = why;
    }
    try_again(t);
}

static void ask(struct emp_transfer *t)
{
    struct emp_str url = url_of(t);
    bool same = t->etag && emp_str_eq(t->etag_url, url);
    if (t->at && !t->model->sha256[0] && !same &&
        start_over(t) < 0) { // nothing would tell a mistake
        conclude(t, t->err.code);
        return;
    }
    t->try_from = t->at;
    struct emp_http_fetch_options o = {.url = emp_arena_printf(&t->arena, "%.*s", EMP_STR_FMT(url)),
                                       .upload_fd = -1,
                                       .resume_from = t->at,
                                       .if_range = same && t->at && t->etag[0] == '"' ? t->etag
                                                                                      : NULL,
                                       .stall_bytes_per_s = 1,
                                       .stall_ms = t->o.stall_ms,
                                       .bytes_per_s_max = t->o.bytes_per_s_max,
                                       .ctx = t,
                                       .on_head = on_head,
                                       .on_data = on_data,
                                       .on_done = on_done};
    int r = emp_http_fetch_start(t->o.http, &o, &t->fetch);
    if (r < 0) {
        t->tries++;
        t->mirrors[t->mirror].out = true;
        emp_fail(&t->err, EMP_E_NET, NULL, "model \"%.*s\": \"%.*s\" is no URL to fetch from",
                 EMP_STR_FMT(t->model->name), EMP_STR_FMT(url));
        try_again(t);
        return;
    }
    t->metered = true;
    emp_meter_begin(t->o.meter, emp_mono_now());
}

/* ---------------------------------------------------------------- check and publish */

static void check(struct emp_transfer *t)
{
    if (hash_is_right(t)) {
        publish(t);
        return;
    }
    bool blame = t->part_mirror != EARLIER || ++t->hash_faults >= HASH_FAULTS_MAX;
    t->mirrors[t->mirror].out = blame;
    t->tries++;
    emp_fail(&t->err, EMP_E_HASH, NULL,
             "model \"%.*s\": what %.*s sent has another sha256 than the catalogue says",
             EMP_STR_FMT(t->model->name), EMP_STR_FMT(host_of(url_of(t))));
    if (start_over(t) < 0)
        conclude(t, t->err.code);
    else if (!blame)
        ask(t); // whole, from this mirror alone
    else
        try_again(t);
}

static void publish_work(uv_work_t *w)
{
    struct emp_transfer *t = w->data;
    if (ftruncate(t->fd, t->model->bytes) < 0) // gives back what fallocate promised beyond
        machine_fails(t, "its part cannot be trimmed", errno);
    else if (emp_dir_make_parent(t->whole, 0755, &t->err) < 0 ||
             emp_file_publish(t->fd, t->part, t->whole, &t->err) < 0)
        t->machine_fault = true;
}

static void publish_after(uv_work_t *w, int status)
{
    struct emp_transfer *t = w->data;
    (void)status;
    t->working = false;
    conclude(t, t->machine_fault ? t->err.code : 0); // a cancel that comes so late finds it done
}

static void publish(struct emp_transfer *t)
{
    t->working = true;
    uv_queue_work(t->o.models->loop, &t->work, publish_work, publish_after);
}

/* ---------------------------------------------------------------- start */

static int prepare(struct emp_transfer *t, int64_t *ret_there)
{
    const struct emp_model *model = t->model;
    int r = emp_models_path(t->o.models, model->path, t->whole, &t->err);
    if (r < 0)
        return r;
    struct emp_str owner = emp_models_path_owner(t->o.models, &t->arena, model->name, model->path);
    if (owner.len)
        return emp_fail(&t->err, EMP_E_CONFLICT, "path",
                        "models \"%.*s\" and \"%.*s\" have the same path %.*s",
                        EMP_STR_FMT(model->name), EMP_STR_FMT(owner), EMP_STR_FMT(model->path));
    if (model->url_count == 0)
        return emp_fail(&t->err, EMP_E_NOT_FOUND, "urls", "model \"%.*s\" has no URL",
                        EMP_STR_FMT(model->name));
    return open_part(t, ret_there);
}

struct emp_transfer *emp_transfer_start(const struct emp_transfer_options *o,
                                        const struct emp_model *model,
                                        const struct emp_transfer_sink *sink)
{
    struct emp_transfer *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    uint64_t seed;
    int64_t there = 0;
    t->o = *o;
    t->o.stall_ms = o->stall_ms > 0 ? o->stall_ms : STALL_MS;
    t->o.pause_ms = o->pause_ms > 0 ? o->pause_ms : PAUSE_MS;
    t->sink = *sink;
    t->model = model;
    t->fd = -1;
    t->part_mirror = EARLIER;
    t->mirror_count = model->url_count < EMP_MODEL_URLS_MAX ? model->url_count : EMP_MODEL_URLS_MAX;
    t->sha = emp_sha256_new();
    if (!t->sha)
        abort();
    t->work.data = t->timer.data = t;
    emp_arena_init(&t->arena, 4096);
    emp_os_random(&seed, sizeof seed);
    emp_random_init(&t->random, seed);
    uv_timer_init(o->models->loop, &t->timer);
    if (prepare(t, &there) < 0) {
        conclude_later(t);
        return t;
    }
    t->try_from = t->best = there;
    bool whole = take_whole(t);
    t->working = whole || there > 0;
    if (whole)
        uv_queue_work(o->models->loop, &t->work, adopt_work, adopt_after);
    else if (there > 0)
        uv_queue_work(o->models->loop, &t->work, hash_work, hash_after);
    else
        uv_timer_start(&t->timer, on_pause_over, 0, 0);
    return t;
}

void emp_transfer_cancel(struct emp_transfer *t)
{
    if (t->cancelled)
        return;
    t->cancelled = true;
    if (t->fetch)
        emp_http_fetch_cancel(t->fetch);
    else if (!t->working && uv_is_active((uv_handle_t *)&t->timer))
        uv_timer_start(&t->timer, on_pause_over, 0, 0);
}

int64_t emp_transfer_bytes(const struct emp_transfer *t)
{
    return t->at;
}
