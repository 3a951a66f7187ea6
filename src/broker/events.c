#include "broker/events.h"

#include "broker/shell.h"
#include "net/http_server.h"
#include "os/clock.h"
#include "proto/message_json.h"
#include "proto/view_json.h"

#include <assert.h>
#include <stdlib.h>

enum { EVENT_BYTES_MAX = EMP_MESSAGE_BYTES_MAX * 2, HELD_EVENTS_MAX = 64 };

/* An event that came before the first state had been read. */
struct held_event {
    uint64_t rank;
    size_t end; /* of its bytes in `held` */
    bool progress, ended;
};

struct emp_event_stream {
    struct emp_event_stream *next, **prev; /* of all */
    uint32_t place, next_same;             /* numbers in the slab; next_same: of this job, 0 none */
    struct emp_broker *broker;
    struct emp_http_stream *http;
    emp_job_num job;
    uint64_t rank; /* of the last state told: see rank_of */
    bool started;  /* the first state has been told */
    bool dead;     /* waits only for its load to come back */
    bool loading;
    struct emp_buf held; /* bytes of the held events */
    uint32_t held_count;
    struct held_event held_events[HELD_EVENTS_MAX];
};

struct load {
    uv_work_t work;
    struct emp_broker *broker;
    struct emp_event_stream *stream;
    struct emp_arena arena;
    struct emp_store_job job;
    struct emp_error err;
    int code;
};

/* States of one job in the order in which they are reached: by attempt, then by place within it.
 * Retrying by hand starts over, but a stream has ended by then. */
static uint64_t rank_of(uint32_t attempt, enum emp_job_state s)
{
    static const uint8_t place[EMP_JOB_STATE_COUNT] = {
        [EMP_JOB_PENDING] = 2,   [EMP_JOB_ASSIGNED] = 0, [EMP_JOB_IN_PROGRESS] = 1,
        [EMP_JOB_COMPLETED] = 3, [EMP_JOB_FAILED] = 3,   [EMP_JOB_CANCELLED] = 3,
    };
    return (uint64_t)attempt * 4 + place[s];
}

/* ------------------------------------------------------------------ what is told */

static const char *const event_words[EMP_NOTICE_COUNT] = {
    [EMP_NOTICE_SUBMITTED] = "job_submitted", [EMP_NOTICE_ASSIGNED] = "job_assigned",
    [EMP_NOTICE_STARTED] = "job_started",     [EMP_NOTICE_PROGRESS] = "update_job_progress",
    [EMP_NOTICE_REQUEUED] = "job_requeued",   [EMP_NOTICE_ENDED] = NULL, /* by state */
};
static const char *const end_words[EMP_JOB_STATE_COUNT] = {
    [EMP_JOB_COMPLETED] = "complete_job",
    [EMP_JOB_FAILED] = "job_failed",
    [EMP_JOB_CANCELLED] = "job_cancelled",
};

/* The result's JSON out of what the store keeps of a completion. */
static struct emp_str result_of(struct emp_arena *a, struct emp_str blob)
{
    struct emp_output *outputs;
    struct emp_str result = {0};
    uint32_t count;

    if (blob.len == 0 || emp_result_blob_parse(a, blob, &result, &outputs, &count, NULL) < 0)
        return (struct emp_str){0};
    return result;
}

static const char *name_of(const struct emp_notice_view *v, bool ended)
{
    return ended ? "end" : v->percent >= 0 ? "progress" : "state";
}

/* The event as it goes over the wire, into events.out. */
static struct emp_str encode(struct emp_broker *b, const struct emp_notice_view *v, bool ended)
{
    struct emp_buf *out = &b->events.out;
    struct emp_writer w;

    emp_buf_clear(out);
    emp_buf_printf(out, "event: %s\ndata: ", name_of(v, ended));
    emp_writer_init(&w, out);
    emp_view_notice(&w, NULL, v); /* one line: JSON has no raw newline, results are checked below */
    emp_buf_addz(out, "\n\n");
    return (struct emp_str){out->data, out->failed ? 0 : (uint32_t)out->len};
}

/* A result may hold newlines between its values; an event's data may not. JSON strings never hold
 * raw ones. */
static struct emp_str one_line(struct emp_arena *a, struct emp_str json)
{
    struct emp_str copy = emp_str_copy(a, json);

    for (uint32_t i = 0; i < copy.len; i++)
        if (copy.ptr[i] == '\n' || copy.ptr[i] == '\r')
            ((char *)(uintptr_t)copy.ptr)[i] = ' ';
    return copy;
}

/* ------------------------------------------------------------------ streams */

static struct emp_event_stream *at(struct emp_broker *b, uint32_t place)
{
    return place ? emp_slab_at(&b->events.slab, place) : NULL;
}

static void unlink_same(struct emp_broker *b, struct emp_event_stream *s)
{
    uint32_t first;

    if (!emp_map_get(&b->events.by_job, s->job, &first))
        return;
    if (first == s->place) {
        if (s->next_same)
            emp_map_put(&b->events.by_job, s->job, s->next_same);
        else
            emp_map_del(&b->events.by_job, s->job);
        return;
    }
    for (struct emp_event_stream *o = at(b, first); o; o = at(b, o->next_same)) {
        if (o->next_same == s->place) {
            o->next_same = s->next_same;
            return;
        }
    }
}

static void drop(struct emp_broker *b, struct emp_event_stream *s)
{
    if (!s->dead) {
        emp_http_stream_close(s->http);
        unlink_same(b, s);
        *s->prev = s->next;
        if (s->next)
            s->next->prev = s->prev;
        b->events.count--;
        s->dead = true;
    }
    if (s->loading)
        return;
    emp_buf_release(&s->held);
    emp_slab_free(&b->events.slab, s->place);
}

/* False: the reader has left. */
static bool tell(struct emp_event_stream *s, struct emp_str text)
{
    return text.len == 0 || emp_http_stream_write(s->http, text.ptr, text.len) == 0;
}

static void hold(struct emp_event_stream *s, const struct held_event *e, struct emp_str text)
{
    /* Progress may go missing; states find room beyond it, and the end beyond them. */
    uint32_t room = e->ended      ? HELD_EVENTS_MAX
                    : e->progress ? HELD_EVENTS_MAX / 2
                                  : HELD_EVENTS_MAX - 1;

    if (s->held_count >= room || (!e->ended && s->held.len + text.len > EMP_EVENTS_HELD_MAX))
        return;
    emp_buf_add(&s->held, text.ptr, text.len);
    s->held_events[s->held_count] = *e;
    s->held_events[s->held_count++].end = s->held.len;
}

/* Tells an event unless what was told before has overtaken it. False: the stream is over. */
static bool take(struct emp_event_stream *s, const struct held_event *e, struct emp_str text)
{
    if (!e->progress && e->rank <= s->rank)
        return true;
    s->rank = e->rank > s->rank ? e->rank : s->rank;
    return tell(s, text) && !e->ended;
}

static void take_notice(struct emp_broker *b, struct emp_event_stream *s,
                        const struct emp_notice *n, struct emp_str text)
{
    struct held_event e = {
        .rank = rank_of(n->attempt, n->state),
        .progress = n->kind == EMP_NOTICE_PROGRESS,
        .ended = n->kind == EMP_NOTICE_ENDED,
    };

    if (!s->started)
        hold(s, &e, text);
    else if (!take(s, &e, text))
        drop(b, s);
}

void emp_events_notice(struct emp_broker *b, const struct emp_notice *n)
{
    uint32_t place;
    char id[EMP_JOB_ID_TEXT];
    struct emp_arena scratch;

    if (b->events.count == 0 || !emp_map_get(&b->events.by_job, n->job, &place))
        return;
    emp_arena_init(&scratch, 0);
    emp_job_id_format(b->secret, n->job, id);
    struct emp_notice_view v = {
        .event = n->kind == EMP_NOTICE_ENDED ? end_words[n->state] : event_words[n->kind],
        .job_id = id,
        .state = n->state,
        .attempt = n->attempt,
        .machine = n->machine,
        .pool = n->pool,
        .text = n->text,
        .percent = n->kind == EMP_NOTICE_PROGRESS ? n->percent : -1,
        .code = n->code,
        .at = n->at,
    };
    if (n->result)
        v.result = one_line(&scratch, result_of(&scratch, emp_blob_text(emp_blob_of(n->result))));
    struct emp_str text = encode(b, &v, n->kind == EMP_NOTICE_ENDED);
    for (struct emp_event_stream *s = at(b, place), *next; s; s = next) {
        next = at(b, s->next_same);
        take_notice(b, s, n, text);
    }
    emp_arena_release(&scratch);
}

/* ------------------------------------------------------------------ the first state */

static void load_work(uv_work_t *w)
{
    struct load *load = w->data;
    struct emp_store_reader *reader;

    load->code = emp_readers_take(&load->broker->readers, &reader, &load->err);
    if (load->code < 0)
        return;
    load->code = emp_store_job(reader, load->stream->job, EMP_STORE_RESULT, &load->arena,
                               &load->job, &load->err);
    emp_readers_give(&load->broker->readers, reader);
}

static const char *present_word(enum emp_job_state s)
{
    static const char *const words[EMP_JOB_STATE_COUNT] = {
        [EMP_JOB_PENDING] = "job_submitted",
        [EMP_JOB_ASSIGNED] = "job_assigned",
        [EMP_JOB_IN_PROGRESS] = "job_started",
    };
    return words[s] ? words[s] : end_words[s];
}

static struct emp_str encode_present(struct load *load)
{
    struct emp_broker *b = load->broker;
    const struct emp_job_record *r = &load->job.record;
    bool ended = emp_job_state_terminal(r->state);
    char id[EMP_JOB_ID_TEXT];

    emp_job_id_format(b->secret, r->num, id);
    struct emp_notice_view v = {
        .event = present_word(r->state),
        .job_id = id,
        .state = r->state,
        .attempt = r->attempt.number,
        .machine = r->attempt.machine,
        .pool = r->attempt.pool,
        .text = r->error,
        .percent = -1,
        .code = r->error_code,
        .at = ended ? r->finished_at : emp_wall_now(),
        .result = one_line(&load->arena, result_of(&load->arena, load->job.result)),
    };
    return encode(b, &v, ended);
}

/* The first state, what was held and is newer, and how far a running job is. False: the stream is
 * over. */
static bool start(struct load *load, struct emp_event_stream *s)
{
    const struct emp_job_record *r = &load->job.record;

    if (load->code < 0 || !tell(s, encode_present(load)) || emp_job_state_terminal(r->state))
        return false;
    s->started = true;
    s->rank = rank_of(r->attempt.number, r->state);
    for (size_t i = 0, from = 0; i < s->held_count; i++) {
        struct held_event *e = &s->held_events[i];
        if (!take(s, e, (struct emp_str){s->held.data + from, (uint32_t)(e->end - from)}))
            return false;
        from = e->end;
    }
    emp_buf_release(&s->held);
    s->held_count = 0;
    return true;
}

static void load_done(uv_work_t *w, int status)
{
    struct load *load = w->data;
    struct emp_broker *b = load->broker;
    struct emp_event_stream *s = load->stream;

    (void)status;
    b->events.loads--;
    s->loading = false;
    if (s->dead || !start(load, s))
        drop(b, s);
    emp_arena_release(&load->arena);
    free(load);
}

void emp_events_open(struct emp_broker *b, struct emp_http_stream *http, emp_job_num job)
{
    struct emp_events *all = &b->events;
    struct load *load = calloc(1, sizeof *load);
    uint32_t place, first = 0;

    if (!load)
        abort();
    struct emp_event_stream *s = emp_slab_new(&all->slab, &place);
    s->broker = b;
    s->place = place;
    s->http = http;
    s->job = job;
    s->loading = true;
    emp_buf_init(&s->held, EVENT_BYTES_MAX);
    s->next = all->streams;
    s->prev = &all->streams;
    if (s->next)
        s->next->prev = &s->next;
    all->streams = s;
    emp_map_get(&all->by_job, job, &first);
    s->next_same = first;
    emp_map_put(&all->by_job, job, place);
    all->count++;

    load->broker = b;
    load->stream = s;
    load->work.data = load;
    emp_arena_init(&load->arena, 0);
    all->loads++;
    if (uv_queue_work(&b->loop.uv, &load->work, load_work, load_done) < 0)
        abort();
}

/* ------------------------------------------------------------------ life */

static void beat(uv_timer_t *t)
{
    struct emp_broker *b = t->data;

    for (struct emp_event_stream *s = b->events.streams, *next; s; s = next) {
        next = s->next;
        if (emp_http_stream_beat(s->http) < 0)
            drop(b, s);
    }
}

int emp_events_init(struct emp_broker *b)
{
    struct emp_events *all = &b->events;

    emp_arena_init(&all->arena, 0);
    emp_slab_init(&all->slab, &all->arena, sizeof(struct emp_event_stream));
    emp_map_init(&all->by_job, &all->arena);
    emp_buf_init(&all->out, EVENT_BYTES_MAX);
    if (uv_timer_init(&b->loop.uv, &all->beat) < 0)
        return EMP_E_INTERNAL;
    all->beat.data = b;
    uv_timer_start(&all->beat, beat, EMP_EVENTS_BEAT_MS, EMP_EVENTS_BEAT_MS);
    return 0;
}

void emp_events_close_all(struct emp_broker *b)
{
    uv_timer_stop(&b->events.beat);
    uv_close((uv_handle_t *)&b->events.beat, NULL);
    while (b->events.streams)
        drop(b, b->events.streams);
}

void emp_events_release(struct emp_broker *b)
{
    struct emp_events *all = &b->events;

    assert(all->count == 0 && all->loads == 0);
    emp_buf_release(&all->out);
    emp_arena_release(&all->arena);
}
