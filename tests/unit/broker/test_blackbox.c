/* The files of a black box: what is found again after an orderly end, after a sudden one, when they
 * are cut, damaged or full; and that old ones make room. What stands in them is tested by
 * tests/sim/test_blackbox.c. */
#include "broker/blackbox.h"
#include "broker/replay.h"
#include "os/files.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char dir[64], box[256];
    emp_wall_ms now;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/emp-blackbox-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    p->now = 1764000000000;
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    emp_remove_tree(p->dir, NULL);
    free(p);
    return 0;
}

/* The next one's name, from its time. */
static void name_box(struct place *p)
{
    char iso[EMP_ISO_MAX], name[EMP_ISO_MAX];
    size_t n = 0;
    p->now += 1000;
    emp_iso_format(p->now, iso);
    for (const char *c = iso; *c; c++)
        if (*c != '-' && *c != ':')
            name[n++] = *c;
    snprintf(p->box, sizeof p->box, "%s/blackbox/%.*s.box", p->dir, (int)n, name);
}

static struct emp_blackbox *open_box(struct place *p, int64_t bytes_max)
{
    struct emp_blackbox *b = NULL;
    struct emp_error err = {0};
    name_box(p);
    if (emp_blackbox_open(&(struct emp_blackbox_options){.data = p->dir,
                                                         .bytes_max = bytes_max,
                                                         .settings = emp_settings_default(),
                                                         .policy = emp_policy_default.name,
                                                         .seed = 7,
                                                         .now = p->now},
                          &b, &err) < 0)
        fail_msg("%s", err.text);
    return b;
}

/* A core that is told of models, `count` of them, with descriptions that do not compress. */
static void record(struct emp_blackbox *b, int count)
{
    struct emp_core *core = emp_core_new(emp_settings_default(), &emp_policy_default, 7);
    struct emp_now now = {.mono = 1000, .wall = 1764000000000};
    struct emp_arena arena;
    struct emp_random random;
    emp_arena_init(&arena, 0);
    emp_random_init(&random, 1);
    emp_blackbox_started(b, now, 0);
    emp_core_start(core, now, 0);
    for (int i = 0; i < count; i++) {
        char name[32], path[200];
        for (size_t k = 0; k < sizeof path; k++)
            path[k] =
                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[emp_random_below(
                    &random, 64)];
        snprintf(name, sizeof name, "model-%d", i);
        struct emp_model m = {.name = emp_str_z(name), .bytes = 1 + i, .path = {path, sizeof path}};
        struct emp_event e = {.kind = EMP_EVENT_MODEL, .request = 1, .model = &m};
        struct emp_actions actions = {.arena = &arena};
        now.mono += 5;
        now.wall += 5;
        emp_blackbox_event(b, now, &e);
        emp_core_step(core, now, &e, &actions);
        emp_blackbox_answered(b, actions.items, actions.count);
        emp_arena_reset(&arena);
    }
    emp_core_free(core);
    emp_arena_release(&arena);
}

static int replay(const struct place *p, struct emp_replay_result *ret, struct emp_error *err)
{
    return emp_replay(p->box, &(struct emp_replay_options){.out = NULL}, ret, err);
}

static void replay_good(const struct place *p, struct emp_replay_result *ret)
{
    struct emp_error err = {0};
    if (replay(p, ret, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(ret->differs, 0);
}

static bool exists(const char *path, const char *suffix)
{
    char whole[300];
    snprintf(whole, sizeof whole, "%s%s", path, suffix);
    return access(whole, F_OK) == 0;
}

static void an_orderly_end_leaves_one_whole_file(void **state)
{
    struct place *p = *state;
    struct emp_replay_result r;
    struct emp_blackbox *b = open_box(p, 100000000);
    record(b, 20000); /* several blocks */
    assert_null(emp_blackbox_ended(b));
    emp_blackbox_close(b);
    assert_false(exists(p->box, ".tail"));
    replay_good(p, &r);
    assert_int_equal(r.events, 20000);
    assert_int_equal(r.actions, 40001); /* each change and its reply; once a plan is due */
    assert_false(r.cut || r.unanswered || r.ended[0]);
    assert_int_equal(r.last - r.first, 19999 * 5);
}

static void a_sudden_end_loses_nothing(void **state)
{
    struct place *p = *state;
    struct emp_replay_result r;
    pid_t child = fork();
    if (child == 0) {
        struct emp_blackbox *b = open_box(p, 100000000);
        record(b, 20000);
        /* … and inside a step */
        emp_blackbox_event(b, (struct emp_now){.mono = 200000, .wall = 1764000200000},
                           &(struct emp_event){.kind = EMP_EVENT_TICK});
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    name_box(p);
    assert_true(exists(p->box, ".tail"));
    replay_good(p, &r);
    assert_int_equal(r.events, 20001);
    assert_true(r.unanswered);
}

static void what_is_cut_ends_before_it(void **state)
{
    struct place *p = *state;
    struct emp_replay_result r;
    struct stat st;
    struct emp_blackbox *b = open_box(p, 100000000);
    record(b, 20000);
    emp_blackbox_close(b);
    assert_int_equal(stat(p->box, &st), 0);
    assert_int_equal(truncate(p->box, st.st_size - 1), 0);
    replay_good(p, &r);
    assert_true(r.cut);
    assert_in_range(r.events, 1000, 19999);
}

static void what_is_damaged_is_refused(void **state)
{
    struct place *p = *state;
    struct emp_replay_result r;
    struct emp_error err = {0};
    struct emp_blackbox *b = open_box(p, 100000000);
    record(b, 5000);
    emp_blackbox_close(b);
    FILE *f = fopen(p->box, "r+");
    fseek(f, 5000, SEEK_SET);
    int c = fgetc(f);
    fseek(f, 5000, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
    assert_int_equal(replay(p, &r, &err), EMP_E_MALFORMED);
    assert_non_null(strstr(err.text, "block 1 is damaged"));
    f = fopen(p->box, "w");
    fputs("something else", f);
    fclose(f);
    assert_int_equal(replay(p, &r, &err), EMP_E_MALFORMED);
    assert_non_null(strstr(err.text, "is no recording of a black box"));
    unlink(p->box);
    assert_int_equal(replay(p, &r, &err), EMP_E_NOT_FOUND);
}

static void a_full_one_ends_and_says_so(void **state)
{
    struct place *p = *state;
    struct emp_replay_result r;
    struct stat st;
    struct emp_blackbox *b = open_box(p, 8000000);
    record(b, 60000); /* some 12 MB that hardly compress */
    assert_non_null(emp_blackbox_ended(b));
    emp_blackbox_close(b);
    replay_good(p, &r);
    assert_string_equal(r.ended, "it has filled its share of blackbox.size");
    assert_in_range(r.events, 1000, 59999);
    assert_int_equal(stat(p->box, &st), 0);
    assert_in_range(st.st_size, 1000000, 8000000 / 2);
}

static void old_ones_make_room(void **state)
{
    struct place *p = *state;
    char boxes[5][256];
    for (int i = 0; i < 5; i++) {
        struct emp_blackbox *b = open_box(p, 8000000);
        record(b, 6000); /* about 1.2 MB */
        emp_blackbox_close(b);
        strcpy(boxes[i], p->box);
    }
    emp_blackbox_close(open_box(p, 8000000));
    assert_false(exists(boxes[0], "")); /* five do not fit into half, the oldest go */
    assert_true(exists(boxes[4], ""));
    emp_blackbox_close(open_box(p, 1000000));
    assert_false(exists(boxes[4], ""));
}

static void off_is_off(void **state)
{
    struct place *p = *state;
    struct emp_event e = {.kind = EMP_EVENT_TICK};
    (void)p;
    emp_blackbox_restored(NULL, &(struct emp_change){.kind = EMP_CHANGE_MODEL});
    emp_blackbox_started(NULL, (struct emp_now){0}, 0);
    emp_blackbox_event(NULL, (struct emp_now){0}, &e);
    emp_blackbox_answered(NULL, NULL, 0);
    assert_null(emp_blackbox_ended(NULL));
    emp_blackbox_close(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_orderly_end_leaves_one_whole_file),
        TEST(a_sudden_end_loses_nothing),
        TEST(what_is_cut_ends_before_it),
        TEST(what_is_damaged_is_refused),
        TEST(a_full_one_ends_and_says_so),
        TEST(old_ones_make_room),
        TEST(off_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
