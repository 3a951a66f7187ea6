/* Event streams: the present state first, then what is newer, each once, in order, and the end. The
 * store's answer is held by the test, so that notices arrive before it; what a stream would send is
 * gathered here (the linker puts the store's and the server's functions in place). */
#include "check.h"

#include "broker/blob.h"
#include "broker/shell.h"
#include "os/clock.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ the world around */

struct emp_http_stream {
    struct emp_buf text;
    bool closed;
    int code; /* of the next write */
    uint32_t beats;
};

static struct {
    struct emp_broker *b;
    struct emp_job_secret secret;
    struct emp_http_stream streams[4];
    sem_t may_read; /* one post: one look into the store */
    enum emp_job_state state;
    uint32_t attempt;
    const char *result; /* of a completed job, as the store keeps it */
    int code;           /* of the look */
} at;

int __wrap_emp_readers_take(struct emp_readers *p, struct emp_store_reader **ret,
                            struct emp_error *err);
int __wrap_emp_readers_take(struct emp_readers *p, struct emp_store_reader **ret,
                            struct emp_error *err)
{
    (void)p;
    (void)err;
    *ret = NULL;
    return 0;
}

void __wrap_emp_readers_give(struct emp_readers *p, struct emp_store_reader *r);
void __wrap_emp_readers_give(struct emp_readers *p, struct emp_store_reader *r)
{
    (void)p;
    (void)r;
}

int __wrap_emp_store_job(struct emp_store_reader *r, emp_job_num num, unsigned want,
                         struct emp_arena *a, struct emp_store_job *ret, struct emp_error *err);
int __wrap_emp_store_job(struct emp_store_reader *r, emp_job_num num, unsigned want,
                         struct emp_arena *a, struct emp_store_job *ret, struct emp_error *err)
{
    (void)r;
    (void)a;
    assert_true(want & EMP_STORE_RESULT);
    sem_wait(&at.may_read);
    if (at.code < 0)
        return emp_fail(err, at.code, NULL, "the test says so");
    *ret = (struct emp_store_job){0};
    ret->record.num = num;
    ret->record.state = at.state;
    ret->record.attempt.number = at.attempt;
    ret->record.finished_at = 1000;
    ret->result = at.result ? emp_str_z(at.result) : (struct emp_str){0};
    return 0;
}

int __wrap_emp_http_stream_write(struct emp_http_stream *st, const void *data, size_t len);
int __wrap_emp_http_stream_write(struct emp_http_stream *st, const void *data, size_t len)
{
    assert_false(st->closed);
    if (st->code < 0)
        return st->code;
    emp_buf_add(&st->text, data, len);
    return 0;
}

int __wrap_emp_http_stream_beat(struct emp_http_stream *st);
int __wrap_emp_http_stream_beat(struct emp_http_stream *st)
{
    st->beats++;
    return st->code;
}

void __wrap_emp_http_stream_close(struct emp_http_stream *st);
void __wrap_emp_http_stream_close(struct emp_http_stream *st)
{
    assert_false(st->closed);
    st->closed = true;
}

/* ------------------------------------------------------------------ a test's beginning and end */

static int set_up(void **state)
{
    (void)state;
    memset(&at, 0, sizeof at);
    at.b = calloc(1, sizeof *at.b);
    at.b->secret = &at.secret;
    at.state = EMP_JOB_PENDING;
    sem_init(&at.may_read, 0, 0);
    for (size_t i = 0; i < 4; i++)
        emp_buf_init(&at.streams[i].text, 1 << 20);
    assert_int_equal(uv_loop_init(&at.b->loop.uv), 0);
    assert_int_equal(emp_events_init(at.b), 0);
    return 0;
}

static void tick(uv_timer_t *t)
{
    if (emp_mono_now() > *(emp_mono_ms *)t->data)
        fail_msg("the store's answer does not come");
}

/* Until all looks into the store have come back. */
static void turn(void)
{
    emp_mono_ms end_at = emp_mono_now() + 60000;
    uv_timer_t poke;

    uv_timer_init(&at.b->loop.uv, &poke);
    poke.data = &end_at;
    uv_timer_start(&poke, tick, 2, 2);
    while (at.b->events.loads > 0)
        uv_run(&at.b->loop.uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&poke, NULL);
    uv_run(&at.b->loop.uv, UV_RUN_NOWAIT);
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = at.b->events.loads; i > 0; i--)
        sem_post(&at.may_read);
    emp_events_close_all(at.b);
    turn();
    emp_events_release(at.b);
    assert_int_equal(uv_loop_close(&at.b->loop.uv), 0);
    for (size_t i = 0; i < 4; i++)
        emp_buf_release(&at.streams[i].text);
    sem_destroy(&at.may_read);
    free(at.b);
    return 0;
}

static void let_read(enum emp_job_state s, uint32_t attempt)
{
    at.state = s;
    at.attempt = attempt;
    sem_post(&at.may_read);
    turn();
}

static void notice(emp_job_num job, enum emp_notice_kind kind, enum emp_job_state s,
                   uint32_t attempt, float percent)
{
    emp_events_notice(at.b, &(struct emp_notice){
                                .kind = kind,
                                .job = job,
                                .state = s,
                                .attempt = attempt,
                                .percent = percent,
                                .at = 1000,
                            });
}
static void assigned(emp_job_num job, uint32_t attempt)
{
    notice(job, EMP_NOTICE_ASSIGNED, EMP_JOB_ASSIGNED, attempt, 0);
}
static void started(emp_job_num job, uint32_t attempt)
{
    notice(job, EMP_NOTICE_STARTED, EMP_JOB_IN_PROGRESS, attempt, 0);
}
static void progress(emp_job_num job, uint32_t attempt, float percent)
{
    notice(job, EMP_NOTICE_PROGRESS, EMP_JOB_IN_PROGRESS, attempt, percent);
}
static void requeued(emp_job_num job, uint32_t attempt)
{
    notice(job, EMP_NOTICE_REQUEUED, EMP_JOB_PENDING, attempt, 0);
}
static void ended(emp_job_num job, enum emp_job_state s, uint32_t attempt)
{
    notice(job, EMP_NOTICE_ENDED, s, attempt, 0);
}

/* What a stream has sent: one word per event, "type attempt" or "percent%". */
static void assert_told(uint32_t stream, const char *want)
{
    struct emp_buf got;
    const char *at_text = at.streams[stream].text.len ? at.streams[stream].text.data : "";

    emp_buf_init(&got, 4096);
    while ((at_text = strstr(at_text, "\"type\":\"")) != NULL) {
        const char *type = at_text + 8, *end = strstr(type, "\n\n");
        const char *attempt = strstr(type, "\"attempt\":"), *share = strstr(type, "\"progress\":");
        assert_non_null(end);
        emp_buf_printf(&got, "%s", got.len ? ", " : "");
        if (share && share < end)
            emp_buf_printf(&got, "%d%%", atoi(share + 11));
        else
            emp_buf_printf(&got, "%.*s %d", (int)strcspn(type, "\""), type,
                           attempt && attempt < end ? atoi(attempt + 10) : 0);
        at_text = end;
    }
    assert_string_equal(got.len ? got.data : "", want);
    emp_buf_release(&got);
}

/* ------------------------------------------------------------------ stories */

static void test_a_whole_life(void **state)
{
    (void)state;
    emp_events_open(at.b, &at.streams[0], 7);
    let_read(EMP_JOB_PENDING, 0);
    assert_told(0, "job_submitted 0");
    assigned(7, 1);
    started(7, 1);
    progress(7, 1, 50);
    requeued(7, 1);
    assigned(7, 2);
    started(7, 2);
    progress(7, 2, 90);
    assert_false(at.streams[0].closed);
    ended(7, EMP_JOB_FAILED, 2);
    assert_told(0, "job_submitted 0, job_assigned 1, job_started 1, 50%, job_requeued 1, "
                   "job_assigned 2, job_started 2, 90%, job_failed 2");
    assert_true(at.streams[0].closed);
    assert_int_equal(at.b->events.count, 0);
}

static void test_what_came_first_waits_and_what_was_overtaken_goes(void **state)
{
    (void)state;
    emp_events_open(at.b, &at.streams[0], 7);
    assigned(7, 1);
    started(7, 1);
    requeued(7, 1);
    assigned(7, 2);
    started(7, 2);
    assert_told(0, ""); // not before the present state
    let_read(EMP_JOB_ASSIGNED, 2);
    assert_told(0, "job_assigned 2, job_started 2");
    assigned(7, 2); // late: it was told
    assert_told(0, "job_assigned 2, job_started 2");
}

static void test_an_end_that_came_first_is_told_after_the_state(void **state)
{
    (void)state;
    emp_events_open(at.b, &at.streams[0], 7);
    ended(7, EMP_JOB_CANCELLED, 1);
    let_read(EMP_JOB_IN_PROGRESS, 1);
    assert_told(0, "job_started 1, job_cancelled 1");
    assert_true(at.streams[0].closed);
}

static void test_an_end_that_the_store_has_is_told_once(void **state)
{
    (void)state;
    emp_events_open(at.b, &at.streams[0], 7);
    ended(7, EMP_JOB_COMPLETED, 1);
    let_read(EMP_JOB_COMPLETED, 1);
    assert_told(0, "complete_job 1");
    assert_true(at.streams[0].closed);
    assert_int_equal(at.b->events.count, 0);
}

static void test_a_flood_before_the_state_is_bounded_and_keeps_states(void **state)
{
    (void)state;
    emp_events_open(at.b, &at.streams[0], 7);
    for (int i = 0; i < 1000; i++)
        progress(7, 1, (float)(i % 100));
    requeued(7, 1);
    ended(7, EMP_JOB_FAILED, 1);
    let_read(EMP_JOB_IN_PROGRESS, 1);
    const char *text = at.streams[0].text.data;
    uint32_t count = 0;
    for (const char *p = text; (p = strstr(p, "event: progress")) != NULL; p++)
        count++;
    assert_true(count > 0 && count < 100);
    assert_non_null(strstr(text, "\"type\":\"job_requeued\"")); // states are kept
    assert_non_null(strstr(text, "event: end\n"));
    assert_true(at.streams[0].closed);
}

static void test_readers_of_one_job_and_of_others(void **state)
{
    (void)state;
    emp_events_open(at.b, &at.streams[0], 7);
    emp_events_open(at.b, &at.streams[1], 8);
    emp_events_open(at.b, &at.streams[2], 7);
    emp_events_open(at.b, &at.streams[3], 7);
    for (int i = 0; i < 4; i++)
        sem_post(&at.may_read);
    turn();
    at.streams[2].code = EMP_E_NET; // it has left
    started(7, 1);
    assert_true(at.streams[2].closed);
    assert_int_equal(at.b->events.count, 3);
    ended(8, EMP_JOB_CANCELLED, 0);
    ended(7, EMP_JOB_COMPLETED, 1);
    assert_told(0, "job_submitted 0, job_started 1, complete_job 1");
    assert_told(1, "job_submitted 0, job_cancelled 0");
    assert_told(2, "job_submitted 0");
    assert_told(3, "job_submitted 0, job_started 1, complete_job 1");
    assert_int_equal(at.b->events.count, 0);
    assert_int_equal(at.b->events.by_job.count, 0);
    started(7, 2); // nobody there
}

static void test_a_reader_that_leaves_before_the_state_is_known(void **state)
{
    (void)state;
    emp_events_open(at.b, &at.streams[0], 7);
    emp_events_close_all(at.b); // as at the broker's end
    assert_true(at.streams[0].closed);
    assert_int_equal(at.b->events.loads, 1);
    let_read(EMP_JOB_PENDING, 0);
    assert_told(0, "");
    assert_int_equal(at.b->events.loads, 0);
    emp_events_release(at.b);
    assert_int_equal(emp_events_init(at.b), 0); // for tear_down
}

static void test_a_store_that_cannot_be_read_ends_the_stream(void **state)
{
    (void)state;
    at.code = EMP_E_IO;
    emp_events_open(at.b, &at.streams[0], 7);
    let_read(EMP_JOB_PENDING, 0);
    assert_true(at.streams[0].closed); // the reader connects anew
    assert_told(0, "");
}

static void test_a_result_is_told_on_one_line(void **state)
{
    (void)state;
    at.result = "{\"result\":{\"a\":\n 1,\r\n\"b\":\"x\\ny\"},\"outputs\":[]}";
    emp_events_open(at.b, &at.streams[0], 7);
    let_read(EMP_JOB_COMPLETED, 1);
    const char *text = at.streams[0].text.data, *data = strstr(text, "data: ");
    assert_non_null(data);
    assert_non_null(strstr(text, "\"b\":\"x\\ny\"")); // the text's own newline stays
    assert_null(memchr(data, '\r', strlen(data)));
    assert_ptr_equal(strchr(data, '\n'), text + strlen(text) - 2); // only where the event ends

    struct emp_blob *blob = emp_blob_new(emp_str_z(at.result));
    at.result = NULL;
    emp_events_open(at.b, &at.streams[1], 8);
    let_read(EMP_JOB_IN_PROGRESS, 1);
    emp_events_notice(at.b, &(struct emp_notice){
                                .kind = EMP_NOTICE_ENDED,
                                .job = 8,
                                .state = EMP_JOB_COMPLETED,
                                .attempt = 1,
                                .result = emp_blob_token_of(blob),
                            });
    emp_blob_unref(blob);
    data = strstr(at.streams[1].text.data, "event: end\ndata: ");
    assert_non_null(data);
    assert_non_null(strstr(data, "\"result\":{\"a\":"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_whole_life),
        TEST(test_what_came_first_waits_and_what_was_overtaken_goes),
        TEST(test_an_end_that_came_first_is_told_after_the_state),
        TEST(test_an_end_that_the_store_has_is_told_once),
        TEST(test_a_flood_before_the_state_is_bounded_and_keeps_states),
        TEST(test_readers_of_one_job_and_of_others),
        TEST(test_a_reader_that_leaves_before_the_state_is_known),
        TEST(test_a_store_that_cannot_be_read_ends_the_stream),
        TEST(test_a_result_is_told_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
