/* Fetching from an origin that misbehaves. What it was asked is its story; what came of it is the
 * transfer's end. */
#include "agent/transfer.h"

#include "check.h"
#include "origin.h"
#include "os/files.h"
#include "os/sha256.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES = 300000, PIECE = 100000 };
static char content[BYTES], other[BYTES];
static bool own_mounts; /* what is mounted here is seen by this program alone */

/* ---------------------------------------------------------------- behaviours */

static int64_t head(int fd, const struct origin_request *r, const char *etag)
{
    int64_t from = r->from > 0 && r->from < BYTES ? r->from : 0;
    if (from)
        origin_say(fd, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %ld-%d/%d\r\n", from,
                   BYTES - 1, BYTES);
    else
        origin_say(fd, "HTTP/1.1 200 OK\r\n");
    if (etag)
        origin_say(fd, "ETag: %s\r\n", etag);
    origin_say(fd, "Content-Length: %ld\r\nConnection: close\r\n\r\n", BYTES - from);
    return from;
}

static void well(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    int64_t from = head(fd, r, NULL);
    origin_send(fd, content + from, (size_t)(BYTES - from));
}

static void piece(int fd, int64_t from)
{
    origin_send(fd, content + from, (size_t)(BYTES - from < PIECE ? BYTES - from : PIECE));
}

static void breaks(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    piece(fd, head(fd, r, NULL));
}

static void breaks_at_once(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    head(fd, r, NULL);
}

static void stalls(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    piece(fd, head(fd, r, NULL));
    origin_hold(fd);
}

static void stalls_once(void *arg, int fd, const struct origin_request *r)
{
    (r->nth ? well : stalls)(arg, fd, r);
}

static void silent(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    origin_hold(fd);
}

static void status(int fd, const char *line)
{
    origin_say(fd, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", line);
}

static void missing(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    status(fd, "404 Not Found");
}

static void forbidden(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    status(fd, "403 Forbidden");
}

static void busy(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    status(fd, "503 Service Unavailable");
}

static void busy_twice(void *arg, int fd, const struct origin_request *r)
{
    (r->nth < 2 ? busy : well)(arg, fd, r);
}

static void shorter(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    origin_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n");
    origin_send(fd, content, 1000);
}

static void ends_early(void *arg, int fd,
                       const struct origin_request *r) // no length: its end looks proper
{
    (void)arg, (void)r;
    origin_say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    origin_send(fd, content, PIECE);
}

static void longer(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    origin_say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    origin_send(fd, content, BYTES);
    origin_send(fd, content, BYTES);
}

static void liar(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    int64_t from = head(fd, r, NULL);
    origin_send(fd, other + from, (size_t)(BYTES - from));
}

static void lies_and_breaks(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    int64_t from = head(fd, r, NULL);
    origin_send(fd, other + from, PIECE);
}

static void no_ranges(void *arg, int fd,
                      const struct origin_request *r) // breaks once, cannot resume
{
    (void)arg;
    origin_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", BYTES);
    origin_send(fd, content, r->nth ? BYTES : PIECE);
}

static void wrong_range(void *arg, int fd, const struct origin_request *r) // resumes where it likes
{
    (void)arg;
    if (r->from <= 0)
        piece(fd, head(fd, r, NULL));
    else
        origin_say(fd,
                   "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes "
                   "7-%d/%d\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
                   BYTES - 1, BYTES, BYTES - 7);
}

static void tagged(void *arg, int fd, const struct origin_request *r) // breaks once; the tag stays
{
    (void)arg;
    bool resumed = strcmp(r->if_range, "\"v1\"") == 0;
    if (r->nth && !resumed)
        status(fd, "500 Asked Without If-Range");
    else if (r->nth)
        origin_send(fd, content + head(fd, r, "\"v1\""), (size_t)(BYTES - r->from));
    else
        piece(fd, head(fd, r, "\"v1\""));
}

static void changed(void *arg, int fd,
                    const struct origin_request *r) // another file, with another tag
{
    struct origin_request whole = *r;
    (void)arg;
    whole.from = -1;
    if (r->nth == 0) {
        head(fd, r, "\"v1\"");
        origin_send(fd, other, PIECE);
    } else {
        head(fd, &whole, "\"v2\"");
        origin_send(fd, content, BYTES);
    }
}

static void moved(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    origin_say(
        fd,
        "HTTP/1.1 302 Found\r\nLocation: /well%s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        r->path);
}

static void slow(void *arg, int fd, const struct origin_request *r)
{
    (void)arg;
    for (int64_t at = head(fd, r, NULL); at < BYTES; at += 10000) {
        origin_send(fd, content + at, 10000);
        usleep(30000);
    }
}

#define ACT(name)      \
    {                  \
#name, name, 0 \
    }
static const struct origin_act acts_all[] = {
    ACT(well),      ACT(breaks),      ACT(breaks_at_once), ACT(stalls),  ACT(stalls_once),
    ACT(silent),    ACT(missing),     ACT(forbidden),      ACT(busy),    ACT(busy_twice),
    ACT(shorter),   ACT(ends_early),  ACT(longer),         ACT(liar),    ACT(lies_and_breaks),
    ACT(no_ranges), ACT(wrong_range), ACT(tagged),         ACT(changed), ACT(moved),
    ACT(slow),      {NULL, NULL, 0}};

/* ---------------------------------------------------------------- the rig */

enum { URLS_MAX = 8 };

struct rig {
    struct place *p;
    struct origin origin;
    struct origin_act acts[sizeof acts_all / sizeof *acts_all];
    struct emp_http_client *http;
    struct emp_meter meter;
    struct emp_models models;
    struct emp_model model;
    struct emp_str urls[URLS_MAX];
    struct emp_transfer *transfer;
    bool done, limit_writes;
    int code;
    bool machine_fault;
    int64_t kept, progress;
    char text[EMP_ERROR_TEXT_MAX];
};

static void rig(struct rig *g, struct place *p)
{
    uint8_t digest[EMP_SHA256_BYTES];
    struct emp_error err;
    memset(g, 0, sizeof *g);
    g->p = p;
    memcpy(g->acts, acts_all, sizeof acts_all);
    origin_start(&g->origin, g->acts, g);
    assert_int_equal(emp_http_client_new(&p->loop, NULL, &g->http), 0);
    assert_int_equal(emp_models_init(&g->models, &p->loop, place_path(p, "models"), &err), 0);
    g->model = (struct emp_model){
        .name = EMP_STR("m"), .path = EMP_STR("dir/m.bin"), .bytes = BYTES, .urls = g->urls};
    emp_sha256_of(content, BYTES, digest);
    emp_sha256_hex(digest, g->model.sha256);
}

static void unrig(struct rig *g)
{
    if (g->transfer && !g->done) // of a case that failed
        emp_transfer_cancel(g->transfer);
    emp_http_client_close(g->http, NULL, NULL);
    while (uv_loop_alive(&g->p->loop))
        uv_run(&g->p->loop, UV_RUN_ONCE);
    origin_stop(&g->origin);
    emp_models_release(&g->models);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void on_progress(void *arg, struct emp_str model, int64_t bytes)
{
    struct rig *g = arg;
    assert_true(emp_str_eq(model, EMP_STR("m")));
    assert_false(g->done);
    g->progress = bytes;
    if (g->limit_writes)
        limit_files(50000);
}

static void on_done(void *arg, const struct emp_transfer_end *end)
{
    struct rig *g = arg;
    assert_false(g->done);
    g->done = true;
    g->code = end->code;
    g->machine_fault = end->machine_fault;
    g->kept = end->kept_bytes;
    snprintf(g->text, sizeof g->text, "%s", end->code ? end->text : "");
    assert_true(emp_str_eq(end->model, EMP_STR("m")));
}

static void start(struct rig *g, const char *behaviours)
{
    struct emp_transfer_options o = {
        .models = &g->models, .http = g->http, .meter = &g->meter, .stall_ms = 1000, .pause_ms = 1};
    struct emp_transfer_sink sink = {g, on_progress, on_done};
    g->model.url_count = 0;
    for (const char *s = behaviours; *s; s += strspn(s, " ")) {
        int n = (int)strcspn(s, " ");
        g->urls[g->model.url_count++] =
            origin_url(&g->origin, g->p, emp_arena_printf(&g->p->arena, "%.*s/m", n, s));
        s += n;
    }
    g->done = false;
    g->transfer = emp_transfer_start(&o, &g->model, &sink);
    assert_false(g->done);
}

static int fetch(struct rig *g, const char *behaviours)
{
    start(g, behaviours);
    UNTIL(g->p, g->done);
    assert_int_equal(g->meter.running, 0);
    return g->code;
}

static const char *story(struct rig *g)
{
    return origin_story(&g->origin, g->p);
}

static bool visible(struct rig *g)
{
    return place_has(g->p, "models/dir/m.bin");
}

static void assert_whole(struct rig *g)
{
    struct stat st;
    char part[EMP_MODELS_PATH];
    const char *path = place_path(g->p, "models/dir/m.bin");
    if (g->code)
        fail_msg("%s: %s", emp_error_name(g->code), g->text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, BYTES);
    assert_memory_equal(place_read(g->p, path), content, BYTES);
    emp_models_part_path(&g->models, g->model.name, part);
    assert_int_not_equal(access(part, F_OK), 0);
    struct emp_models_note n;
    assert_int_equal(emp_models_note_read(&g->models, g->model.name, &g->p->arena, &n), 0);
    assert_string_equal(n.sha256, g->model.sha256);
}

/* Nothing is left but perhaps a part of so many bytes. */
static void assert_nothing(struct rig *g, int64_t kept)
{
    struct stat st;
    struct emp_models_note n;
    char part[EMP_MODELS_PATH];
    emp_models_part_path(&g->models, g->model.name, part);
    assert_false(visible(g));
    assert_int_equal(g->kept, kept);
    assert_int_equal(stat(part, &st) == 0 ? st.st_size : 0, kept);
    assert_int_equal(emp_models_note_read(&g->models, g->model.name, &g->p->arena, &n) == 0,
                     kept > 0);
}

#define SAYS(g, part)                                                \
    do {                                                             \
        if (strstr((g)->text, part) == NULL)                         \
            fail_msg("\"%s\" does not say \"%s\"", (g)->text, part); \
    } while (0)

static int setup(void **state)
{
    if (place_make(state) < 0)
        return -1;
    struct rig *g = calloc(1, sizeof *g);
    rig(g, *state);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    struct rig *g = *state;
    *state = g->p;
    limit_files(RLIM_INFINITY);
    unrig(g);
    free(g);
    return place_remove(state);
}

/* ---------------------------------------------------------------- it comes */

static void a_model_is_fetched_and_becomes_visible(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "well"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "well");
    assert_true(g->meter.bytes_per_s > 0);
}

static void without_a_hash_the_length_decides(void **state)
{
    struct rig *g = *state;
    g->model.sha256[0] = '\0';
    assert_int_equal(fetch(g, "liar"), 0);
    assert_true(visible(g));
}

static void a_redirect_is_followed(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "moved"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "moved; well");
}

static void a_break_is_resumed_where_it_stood(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "breaks"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "breaks; breaks from 100000; breaks from 200000");
}

static void a_stall_is_ended_and_resumed(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "stalls_once"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "stalls_once; stalls_once from 100000");
}

static void who_cannot_resume_is_read_from_the_start(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "no_ranges"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "no_ranges; no_ranges from 100000");
}

static void a_busy_mirror_is_asked_again(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "busy_twice"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "busy_twice; busy_twice; busy_twice");
}

static void progress_is_told(void **state)
{
    struct rig *g = *state;
    start(g, "stalls");
    UNTIL(g->p, g->progress == PIECE);
    emp_transfer_cancel(g->transfer);
    UNTIL(g->p, g->done);
}

/* ---------------------------------------------------------------- mirrors */

static void a_mirror_stands_in_for_one_that_does_not_have_it(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "missing forbidden well"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "missing; forbidden; well");
}

static void a_mirror_goes_on_where_another_stalled(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "stalls well"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "stalls; well from 100000");
}

static void a_mirror_stands_in_for_one_that_lies(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "shorter ends_early longer liar well"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "shorter; ends_early; longer; liar; well");
}

static void what_was_resumed_from_a_liar_blames_nobody_yet(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "lies_and_breaks well"), 0);
    assert_whole(g);
    assert_string_equal(story(g),
                        "lies_and_breaks; well from 100000; well"); // wrong together, right alone
}

/* ---------------------------------------------------------------- it does not come */

static void what_nobody_has_is_told(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "missing"), EMP_E_NOT_FOUND);
    SAYS(g, "model \"m\": 127.0.0.1:");
    SAYS(g, "answers with status 404");
    assert_false(g->machine_fault);
    assert_nothing(g, 0);
    assert_string_equal(story(g), "missing");
    assert_int_equal(fetch(g, "forbidden"), EMP_E_FORBIDDEN);
}

static void patience_has_an_end(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "busy"), EMP_E_NET);
    SAYS(g, "answers with status 503");
    assert_string_equal(story(g), "busy; busy; busy");
    assert_int_equal(fetch(g, "breaks_at_once"), EMP_E_NET);
    SAYS(g, "after 0 of 300000 bytes");
    assert_nothing(g, 0);
}

static void a_mirror_that_stalls_again_and_again_is_enough_while_it_brings_something(void **state)
{
    struct rig *g = *state;
    start(g, "stalls");
    UNTIL(g->p, g->done);
    assert_int_equal(g->code, 0); // each try brings a piece
    assert_string_equal(story(g), "stalls; stalls from 100000; stalls from 200000");
    assert_int_equal(fetch(g, "silent"), 0); // and it is there now: not asked at all
}

static void silence_is_a_timeout(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "silent"), EMP_E_TIMEOUT);
    SAYS(g, "model \"m\": after 0 of 300000 bytes");
    assert_false(g->machine_fault);
    assert_nothing(g, 0);
}

static void lies_about_the_size_are_told(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "shorter"), EMP_E_SIZE);
    SAYS(g, "announces a length of 1000; the catalogue says 300000 bytes");
    assert_nothing(g, 0);
    assert_int_equal(fetch(g, "ends_early"), EMP_E_SIZE);
    SAYS(g, "ends after byte 100000; the catalogue says 300000 bytes");
    assert_nothing(g, 0);
    assert_int_equal(fetch(g, "longer"), EMP_E_SIZE);
    SAYS(g, "sends more bytes than 300000");
    assert_nothing(g, 0);
    assert_string_equal(story(g), "shorter; ends_early; longer"); // none is asked again
}

static void a_wrong_hash_is_told(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "liar"), EMP_E_HASH);
    SAYS(g, "has another sha256 than the catalogue says");
    assert_nothing(g, 0);
    assert_string_equal(story(g), "liar");
}

static void a_range_nobody_asked_for_is_refused(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, "wrong_range"), EMP_E_NET);
    SAYS(g, "does not resume where asked but at byte 7");
    assert_string_equal(story(g), "wrong_range; wrong_range from 100000");
}

static void nobody_listens(void **state)
{
    struct rig *g = *state;
    struct emp_transfer_options o = {
        .models = &g->models, .http = g->http, .meter = &g->meter, .pause_ms = 1};
    struct emp_transfer_sink sink = {g, on_progress, on_done};
    g->urls[0] = EMP_STR("http://user:secret@127.0.0.1:1/m");
    g->urls[1] = EMP_STR("ftp://127.0.0.1/m");
    g->urls[2] = EMP_STR("no URL");
    g->model.url_count = 3;
    emp_transfer_start(&o, &g->model, &sink);
    UNTIL(g->p, g->done);
    assert_int_equal(g->code, EMP_E_NET);
    assert_null(strstr(g->text, "secret"));
    assert_nothing(g, 0);
}

static void no_url_and_foreign_paths_are_refused(void **state)
{
    struct rig *g = *state;
    assert_int_equal(fetch(g, ""), EMP_E_NOT_FOUND);
    SAYS(g, "model \"m\" has no URL");
    g->model.path = EMP_STR("../m");
    assert_int_equal(fetch(g, "well"), EMP_E_INVALID);
    struct emp_models_note n = {.name = EMP_STR("elder"), .path = EMP_STR("x"), .bytes = 1};
    emp_models_note_write(&g->models, &n, NULL);
    g->model.path = EMP_STR("x");
    assert_int_equal(fetch(g, "well"), EMP_E_CONFLICT);
    SAYS(g, "models \"m\" and \"elder\" have the same path x");
    assert_string_equal(story(g), "");
}

/* ---------------------------------------------------------------- an earlier life */

static void cancelled_and_taken_up_again(void **state)
{
    struct rig *g = *state;
    start(g, "stalls");
    UNTIL(g->p, g->progress == PIECE);
    emp_transfer_cancel(g->transfer);
    emp_transfer_cancel(g->transfer);
    assert_false(g->done);
    UNTIL(g->p, g->done);
    assert_int_equal(g->code, EMP_E_CANCELLED);
    assert_nothing(g, PIECE);
    assert_int_equal(fetch(g, "well"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "stalls; well from 100000");
}

static void cancelled_in_a_pause(void **state)
{
    struct rig *g = *state;
    struct emp_transfer_options o = {
        .models = &g->models, .http = g->http, .meter = &g->meter, .pause_ms = 3600000};
    struct emp_transfer_sink sink = {g, on_progress, on_done};
    g->urls[0] = origin_url(&g->origin, g->p, "busy/m");
    g->model.url_count = 1;
    g->transfer = emp_transfer_start(&o, &g->model, &sink);
    UNTIL(g->p, strcmp(story(g), "busy") == 0 && g->meter.running == 0);
    emp_transfer_cancel(g->transfer);
    UNTIL(g->p, g->done);
    assert_int_equal(g->code, EMP_E_CANCELLED);
    assert_nothing(g, 0);
}

static void cancelled_before_it_began(void **state)
{
    struct rig *g = *state;
    start(g, "well");
    emp_transfer_cancel(g->transfer);
    UNTIL(g->p, g->done);
    assert_int_equal(g->code, EMP_E_CANCELLED);
    assert_nothing(g, 0);
}

static void a_part_of_another_content_is_not_built_on(void **state)
{
    struct rig *g = *state;
    start(g, "stalls");
    UNTIL(g->p, g->progress == PIECE);
    emp_transfer_cancel(g->transfer);
    UNTIL(g->p, g->done);
    char was[65];
    memcpy(was, g->model.sha256, 65);
    memset(g->model.sha256, 'b', 64); // the catalogue has another version now
    fetch(g, "well");
    assert_int_equal(g->code, EMP_E_HASH);
    assert_string_equal(story(g), "stalls; well");
    memcpy(g->model.sha256, was, 65);
}

static void a_damaged_part_is_found_out(void **state)
{
    struct rig *g = *state;
    char part[EMP_MODELS_PATH];
    start(g, "stalls");
    UNTIL(g->p, g->progress == PIECE);
    emp_transfer_cancel(g->transfer);
    UNTIL(g->p, g->done);
    emp_models_part_path(&g->models, g->model.name, part);
    FILE *f = fopen(part, "r+");
    fputs("damage", f);
    fclose(f);
    assert_int_equal(fetch(g, "well"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "stalls; well from 100000; well");
}

static void a_part_that_is_whole_needs_no_origin(void **state)
{
    struct rig *g = *state;
    char part[EMP_MODELS_PATH];
    struct emp_models_note n = {.name = g->model.name, .path = g->model.path, .bytes = BYTES};
    memcpy(n.sha256, g->model.sha256, 65);
    emp_models_note_write(&g->models, &n, NULL);
    emp_models_part_path(&g->models, g->model.name, part);
    assert_int_equal(emp_file_write_atomic(part, content, BYTES, 0644, NULL), 0);
    assert_int_equal(fetch(g, "missing"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "");
}

static void without_a_hash_the_tag_tells_whether_to_resume(void **state)
{
    struct rig *g = *state;
    g->model.sha256[0] = '\0';
    assert_int_equal(fetch(g, "tagged"), 0);
    assert_memory_equal(place_read(g->p, place_path(g->p, "models/dir/m.bin")), content, BYTES);
    assert_string_equal(story(g), "tagged; tagged from 100000");
}

static void a_file_that_changed_is_read_anew(void **state)
{
    struct rig *g = *state;
    g->model.sha256[0] = '\0';
    assert_int_equal(fetch(g, "changed"), 0);
    assert_memory_equal(place_read(g->p, place_path(g->p, "models/dir/m.bin")), content, BYTES);
}

static void without_hash_and_tag_nothing_is_resumed(void **state)
{
    struct rig *g = *state;
    g->model.sha256[0] = '\0';
    assert_int_equal(fetch(g, "no_ranges"), 0);
    assert_string_equal(story(g), "no_ranges; no_ranges");
}

/* ---------------------------------------------------------------- what others put there */

static void the_right_file_in_its_place_is_taken_over(void **state)
{
    struct rig *g = *state;
    place_write(g->p, "models/dir/m.bin", content, BYTES);
    assert_int_equal(fetch(g, "missing"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "");
}

static void a_wrong_file_in_its_place_is_replaced(void **state)
{
    struct rig *g = *state;
    place_write(g->p, "models/dir/m.bin", other, BYTES);
    assert_int_equal(fetch(g, "well"), 0);
    assert_whole(g);
    assert_string_equal(story(g), "well");
}

/* ---------------------------------------------------------------- the disk */

static void no_room_is_told_before_the_first_byte(void **state)
{
    struct rig *g = *state;
    const char *dir = place_path(g->p, "models/.emp");
    if (!own_mounts || mount("tmpfs", dir, "tmpfs", 0, "size=200k") < 0)
        skip(); // needs root
    fetch(g, "well");
    assert_int_equal(umount(dir), 0);
    assert_int_equal(g->code, EMP_E_DISK_FULL);
    assert_true(g->machine_fault);
    SAYS(g, "model \"m\": no room on the disk");
    assert_string_equal(story(g), "");
}

static void a_disk_that_fills_up_is_this_machines_fault(void **state)
{
    struct rig *g = *state;
    g->limit_writes = true;
    fetch(g, "slow well");
    limit_files(RLIM_INFINITY);
    assert_int_equal(g->code, EMP_E_DISK_FULL);
    assert_true(g->machine_fault);
    assert_nothing(g, 0);
    assert_string_equal(story(g), "slow"); // another mirror would not help
}

static void a_place_that_is_taken_is_this_machines_fault(void **state)
{
    struct rig *g = *state;
    place_write(g->p, "models/dir", "a file", 6);
    assert_true(fetch(g, "well") < 0);
    assert_true(g->machine_fault);
    assert_int_equal(g->kept, 0);
}

int main(void)
{
    for (int i = 0; i < BYTES; i++) {
        content[i] = (char)(i * 2654435761u >> 13);
        other[i] = (char)(content[i] ^ (i == 7));
    }
    signal(SIGXFSZ, SIG_IGN);
    own_mounts = unshare(CLONE_NEWNS) == 0 &&
                 mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
#define RIGGED(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        RIGGED(a_model_is_fetched_and_becomes_visible),
        RIGGED(without_a_hash_the_length_decides),
        RIGGED(a_redirect_is_followed),
        RIGGED(a_break_is_resumed_where_it_stood),
        RIGGED(a_stall_is_ended_and_resumed),
        RIGGED(who_cannot_resume_is_read_from_the_start),
        RIGGED(a_busy_mirror_is_asked_again),
        RIGGED(progress_is_told),
        RIGGED(a_mirror_stands_in_for_one_that_does_not_have_it),
        RIGGED(a_mirror_goes_on_where_another_stalled),
        RIGGED(a_mirror_stands_in_for_one_that_lies),
        RIGGED(what_was_resumed_from_a_liar_blames_nobody_yet),
        RIGGED(what_nobody_has_is_told),
        RIGGED(patience_has_an_end),
        RIGGED(a_mirror_that_stalls_again_and_again_is_enough_while_it_brings_something),
        RIGGED(silence_is_a_timeout),
        RIGGED(lies_about_the_size_are_told),
        RIGGED(a_wrong_hash_is_told),
        RIGGED(a_range_nobody_asked_for_is_refused),
        RIGGED(nobody_listens),
        RIGGED(no_url_and_foreign_paths_are_refused),
        RIGGED(cancelled_and_taken_up_again),
        RIGGED(cancelled_in_a_pause),
        RIGGED(cancelled_before_it_began),
        RIGGED(a_part_of_another_content_is_not_built_on),
        RIGGED(a_damaged_part_is_found_out),
        RIGGED(a_part_that_is_whole_needs_no_origin),
        RIGGED(without_a_hash_the_tag_tells_whether_to_resume),
        RIGGED(a_file_that_changed_is_read_anew),
        RIGGED(without_hash_and_tag_nothing_is_resumed),
        RIGGED(the_right_file_in_its_place_is_taken_over),
        RIGGED(a_wrong_file_in_its_place_is_replaced),
        RIGGED(no_room_is_told_before_the_first_byte),
        RIGGED(a_disk_that_fills_up_is_this_machines_fault),
        RIGGED(a_place_that_is_taken_is_this_machines_fault),
    };
    return cmocka_run_group_tests_name("agent/transfer", tests, NULL, NULL);
}
