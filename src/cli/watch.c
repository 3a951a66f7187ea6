/* The events tell when to look; what is shown at the end is always what GET says. So a missed event
 * costs nothing but time: the stream's end, whatever its cause, leads to a GET, and that decides
 * whether to go on. */
#include "cli/watch.h"

#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/view.h"
#include "domain/job.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { POLL_FIRST_MS = 100, POLL_LAST_MS = 1000, PATIENCE_MS = 60000 };

struct watch {
    struct emp_client *client;
    const char *id;
    uint32_t number, count; /* this is the number-th of so many */
    emp_wall_ms begun;
    char status[32];
    char machine[128];
    char message[160];
    double fraction; /* < 0: not known */
    bool streams;    /* the broker has an event stream for this job */
};

static void sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void show(const struct watch *w)
{
    char text[512], span[EMP_SPAN_TEXT_MAX], place[48] = "";
    if (w->count > 1)
        snprintf(place, sizeof place, "%u/%u ", w->number, w->count);
    emp_between_text(w->begun, emp_wall_clock(), span);
    snprintf(text, sizeof text, "%s%.8s  %s%s%s  %s  %s", place, w->id, w->status,
             *w->machine ? " on " : "", w->machine, span, w->message);
    emp_progress_draw(w->fraction, text);
}

/* Where no bar can be drawn. */
static void tell(const struct watch *w)
{
    struct emp_buf safe;
    emp_buf_init(&safe, 4096);
    emp_text_safe(emp_str_z(w->machine), 0, &safe);
    fprintf(stderr, "%s %s%s%s\n", w->id, w->status, safe.len ? " on " : "",
            safe.len ? safe.data : "");
    emp_buf_release(&safe);
}

/* Takes what an event or a job object says; tells a change of status where no bar can. */
static void learn(struct watch *w, const struct emp_json *o)
{
    struct emp_str status = emp_view_text(o, "status"), machine = emp_view_text(o, "worker_id");
    struct emp_str message =
        emp_view_text(o, emp_view_get(o, "message") ? "message" : "progress_message");
    double progress = emp_view_number(o, "progress");
    enum emp_job_state known;
    if (machine.len)
        snprintf(w->machine, sizeof w->machine, "%.*s", EMP_STR_FMT(machine));
    if (message.len)
        snprintf(w->message, sizeof w->message, "%.*s", EMP_STR_FMT(message));
    if (progress >= 0)
        w->fraction = progress / 100;
    if (emp_job_state_parse(status, &known) < 0 || emp_str_eq(status, emp_str_z(w->status)))
        return;
    snprintf(w->status, sizeof w->status, "%.*s", EMP_STR_FMT(status));
    if (known == EMP_JOB_PENDING) { /* back in the queue */
        w->fraction = -1;
        w->machine[0] = 0;
    }
    if (!emp_terminal_live(stderr))
        tell(w);
}

static bool on_event(void *arg, const char *name, const char *data)
{
    struct watch *w = arg;
    struct emp_arena arena;
    struct emp_json *o;
    (void)name;
    emp_arena_init(&arena, 0);
    if (emp_json_parse(&arena, data, strlen(data), NULL, &o, NULL) == 0) {
        learn(w, o);
        show(w);
    }
    emp_arena_release(&arena);
    return !emp_show_is_final(emp_str_z(w->status));
}

/* One stream, to its end. */
static void follow_once(struct watch *w)
{
    struct emp_buf path;
    struct emp_error why = {0};
    emp_buf_init(&path, 4096);
    emp_buf_addz(&path, "/api/jobs/");
    emp_url_escape(w->id, &path);
    emp_buf_addz(&path, "/events");
    int r = emp_client_follow(w->client, path.data, on_event, w, &why);
    if (r < 0 && r != EMP_E_NET) /* refused: no such stream here; broken is another matter */
        w->streams = false;
    emp_buf_release(&path);
}

/* GET, patiently: a broker that restarts is waited for. */
static int look(struct watch *w, struct emp_reply *reply, struct emp_error *err)
{
    emp_wall_ms until = emp_wall_clock() + PATIENCE_MS;
    for (int64_t pause = POLL_FIRST_MS;;
         pause = pause * 2 < POLL_LAST_MS ? pause * 2 : POLL_LAST_MS) {
        int r = emp_client_get(w->client, "/api/jobs/", w->id, "", reply, err);
        if (r == 0) {
            learn(w, emp_view_get(reply->json, "job"));
            return 0;
        }
        if (!emp_error_retryable(r) || emp_wall_clock() > until)
            return r; /* released by the caller */
        emp_reply_release(reply);
        sleep_ms(pause);
    }
}

static int print_end(struct watch *w, const struct emp_reply *reply, bool full,
                     struct emp_error *err)
{
    const struct emp_json *job = emp_view_get(reply->json, "job");
    char waited[EMP_SPAN_TEXT_MAX];
    bool colours = emp_terminal_colours(stdout);
    enum emp_colour colour = emp_colour_of_status(emp_str_z(w->status));
    struct emp_buf out;
    struct emp_arena arena;
    if (w->client->cli->json)
        return emp_client_print_json(reply, err);
    emp_buf_init(&out, EMP_CLIENT_OUTPUT_MAX);
    emp_arena_init(&arena, 0);
    if (full) {
        emp_show_job(job, &arena, colours, &out);
    } else {
        emp_between_text(emp_view_time(job, "created_at"), emp_view_time(job, "completed_at"),
                         waited);
        emp_buf_printf(&out, "%s  %s%s%s  %s  ", w->id, emp_colour_on(colour, colours), w->status,
                       emp_colour_off(colour, colours), waited);
        emp_text_safe(emp_view_text(job, "error"), 0, &out);
        emp_buf_addz(&out, "\n");
    }
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    emp_arena_release(&arena);
    return r;
}

/* 0: completed, 1: ended otherwise. */
static int watch_job(struct watch *w, bool full, struct emp_error *err)
{
    int64_t pause = POLL_FIRST_MS;
    for (;;) {
        struct emp_reply reply;
        int r = look(w, &reply, err);
        if (r < 0 || emp_show_is_final(emp_str_z(w->status))) {
            emp_progress_clear();
            r = r < 0 ? r : print_end(w, &reply, full, err);
            emp_reply_release(&reply);
            return r < 0 ? r : strcmp(w->status, "completed") != 0;
        }
        emp_reply_release(&reply);
        show(w);
        if (w->streams)
            follow_once(w);
        if (emp_show_is_final(emp_str_z(w->status)))
            continue;
        sleep_ms(pause); /* polling, or the stream broke */
        pause = pause * 2 < POLL_LAST_MS ? pause * 2 : POLL_LAST_MS;
    }
}

int emp_watch_jobs(struct emp_client *c, const char *const *ids, uint32_t count, bool full,
                   struct emp_error *err)
{
    int result = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct watch w = {.client = c,
                          .id = ids[i],
                          .number = i + 1,
                          .count = count,
                          .fraction = -1,
                          .streams = true};
        w.begun = emp_wall_clock();
        int r = watch_job(&w, full, err);
        if (r < 0)
            return r;
        result = r ? 1 : result;
    }
    return result;
}
