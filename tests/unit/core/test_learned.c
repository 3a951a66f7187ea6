/* What was learned outlives the broker, and goes with what it was about. */
#include "stories.h"

static struct emp_str sdxl[] = {{"sdxl", 4}};

static struct emp_job_spec with_sdxl(void)
{
    struct emp_job_spec s = world_spec("simulation");
    s.models = sdxl;
    s.model_count = 1;
    return s;
}

static void join_with_gpu(struct world *w, emp_link link, const char *id)
{
    static struct emp_gpu gpu[] = {{.model = {"L40", 3}, .memory_bytes = 24000000000}};
    struct emp_copy copy = {.model = sdxl[0], .bytes = 7LL << 30, .residency = EMP_RESIDENCY_DISK};
    struct emp_machine_facts f = world_facts(id, "fast-lane", 1);
    f.gpus = gpu;
    f.gpu_count = 1;
    world_hello(w, link, &f, NULL, 0, &copy, 1);
}

static void run(struct world *w, emp_link link, int64_t load_ms, int64_t run_ms)
{
    struct emp_job_spec s = with_sdxl();
    struct emp_message m = {.kind = EMP_MESSAGE_STARTED};
    emp_job_num job = world_submit(w, &s);
    m.started.job = job;
    m.started.attempt = 1;
    m.started.at = w->now.wall;
    m.started.load_ms = load_ms;
    world_message(w, link, &m);
    world_finished(w, link, EMP_MESSAGE_COMPLETED, job, 1, 0, run_ms);
}

static const struct emp_change_learned *row(const struct world *w, const char *key)
{
    for (size_t i = 0; i < w->row_count; i++)
        if (emp_str_eq(w->rows[i].learned.key, emp_str_z(key)))
            return &w->rows[i].learned;
    return NULL;
}

/* What the next job's load is expected to take on the only machine, which is busy with one. */
static int64_t expected_load(struct world *w)
{
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    emp_job_num job = world_submit(w, &s);
    struct emp_explanation x = explain(w, job);
    assert_int_equal(x.count, 1);
    return x.candidates[0].terms.load;
}

static void load_times_outlive_the_broker(void **state)
{
    struct world *w = *state;
    world_model(w, "sdxl", 7LL << 30, "art");
    join_with_gpu(w, 10, "m");
    for (int i = 0; i < 6; i++)
        run(w, 10, 3000, 10000);
    world_pass(w, 6000);
    world_beat(w, 10);
    int64_t before = expected_load(w);
    world_restart(w);
    join_with_gpu(w, 11, "m");
    struct emp_explanation x = explain(w, 8);
    assert_int_equal(x.candidates[0].terms.load, before);
    assert_true(before < 15 * 1000000); /* bytes over the assumed rate would be more than 20 s */
}

/* Nothing in them changes by itself: what is not new is not written again. */
static void rows_are_written_when_they_change(void **state)
{
    struct world *w = *state;
    world_model(w, "sdxl", 7LL << 30, "art");
    join_with_gpu(w, 10, "m");
    for (int i = 0; i < 12; i++)
        run(w, 10, 3000, 10000);
    world_pass(w, 6000);
    static const char *const keys[] = {"load/sdxl", "speed/m", "duration/0", "duration/1"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (row(w, keys[i]) == NULL)
            fail_msg("there is no row %s", keys[i]);
    size_t rows = w->row_count;
    w->row_count = 0;
    world_beat(w, 10);
    world_pass(w, 6000);
    assert_int_equal(w->row_count, 0);
    w->row_count = rows;
}

static void rows_go_with_what_they_are_about(void **state)
{
    struct world *w = *state;
    world_model(w, "sdxl", 7LL << 30, "art");
    join_with_gpu(w, 10, "m");
    for (int i = 0; i < 12; i++)
        run(w, 10, 3000, 10000);
    world_pass(w, 6000);
    assert_true(row(w, "load/sdxl")->length > 0 && row(w, "speed/m")->length > 0);
    world_step(w, &(struct emp_event){.kind = EMP_EVENT_MODEL_REMOVE, .model_name = sdxl[0]});
    world_step(w,
               &(struct emp_event){.kind = EMP_EVENT_MACHINE_FORGET, .machine.id = EMP_STR("m")});
    assert_int_equal(row(w, "load/sdxl")->length, 0);
    assert_int_equal(row(w, "speed/m")->length, 0);
}

/* A store that was tampered with, or of another version: nothing is learned from it. */
static void damaged_rows_are_passed_over(void **state)
{
    struct world *w = *state;
    static const char *const keys[] = {
        "load/sdxl",  "load/",        "kind/art",   "speed/m", "duration/0",
        "duration/1", "duration/999", "duration/x", "run/12",  "run/0123456789abcdef",
        "other"};
    world_model(w, "sdxl", 7LL << 30, "art");
    join_with_gpu(w, 10, "m");
    int64_t before = expected_load(w);
    char bytes[5000];
    memset(bytes, 0xff, sizeof bytes);
    for (uint32_t length = 1; length <= sizeof bytes; length += length < 64 ? 1 : 300) {
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            emp_arena_reserve(&w->store_arena, w->rows, w->row_count, w->row_cap);
            w->rows[w->row_count++] = (struct emp_change){
                .kind = EMP_CHANGE_LEARNED, .learned = {emp_str_z(keys[i]), bytes, length}};
        }
    }
    world_restart(w);
    join_with_gpu(w, 11, "m");
    assert_int_equal(explain(w, 2).candidates[0].terms.load, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(load_times_outlive_the_broker),
        STORY(rows_are_written_when_they_change),
        STORY(rows_go_with_what_they_are_about),
        STORY(damaged_rows_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
