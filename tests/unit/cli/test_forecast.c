/* `emp forecast eval` on files of its own; on the M4 data where EMP_TEST_DATA names a directory
 * that holds m4/. */
#include "cli/forecast.h"

#include "check.h"
#include "os/files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct fixture {
    struct emp_cli cli;
    struct emp_forecast_report report;
    struct emp_error err;
    char dir[64], train[96], test[96];
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    emp_arena_init(&f->cli.arena, 0);
    strcpy(f->dir, "/tmp/emp-test-forecast-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->train, sizeof f->train, "%s/train.csv", f->dir);
    snprintf(f->test, sizeof f->test, "%s/test.csv", f->dir);
}

static void end(struct fixture *f)
{
    emp_remove_tree(f->dir, NULL);
    emp_arena_release(&f->cli.arena);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const struct emp_forecast_score *score(const struct fixture *f, const char *name)
{
    for (uint32_t i = 0; i < f->report.count; i++)
        if (strcmp(f->report.scores[i].name, name) == 0)
            return &f->report.scores[i];
    fail_msg("no method %s", name);
    return NULL;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-6;
}

/* Worked by hand: train 1 2 3 4, test 6; naive 4, seasonal naive (2) 3; MASE's scale |3-1|, |4-2|
 * = 2. */
static void errors_by_hand(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    put(f.train, "id,V1,V2\na,1,2,3,4,,\n");
    put(f.test, "id,V1\na,6\n");
    struct emp_forecast_options o = {.train = f.train, .test = f.test, .horizon = 1, .season = 2};
    assert_int_equal(emp_forecast_eval_series(&f.cli, &o, &f.report, &f.err), 0);
    const struct emp_forecast_score *naive = score(&f, "naive"), *s = score(&f, "snaive");
    assert_true(near(naive->smape, 200 * 2.0 / 10) && near(naive->mase, 1) &&
                near(naive->wape, 2.0 / 6));
    assert_true(near(s->smape, 200 * 3.0 / 9) && near(s->mase, 1.5));
    assert_true(near(naive->owa, 1)); // too short for a season: Naive2 is naive
    // a point forecast of 4 under 6: (0.1 + 0.5 + 0.9) · 2 · 2 / 3 of 6
    assert_true(near(naive->pinball, 1.5 * 2 * 2 / 3 / 6));
    assert_string_equal(f.report.scores[f.report.count - 1].name, "ours");
    end(&f);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *train, *test, *error;
    } cases[] = {
        {"a,1,2\nb,1,x\n", NULL, "/train.csv:2: field 3, \"x\", is not a number"},
        {"a,1,2\nb\n", NULL, "/train.csv:2: a series needs an id and values"},
        {"", NULL, "/train.csv: there is no series in it"},
        {"id,v\n", NULL, "/train.csv: there is no series in it"},
        {"a,1,2\n", NULL, ": no series is as long as the horizon and two seasons (6)"},
        {"a,1,2\nb,1,2\n", "a,1,2\n", "has 1 series"},
        {"a,1,2\nb,1,2\n", "a,1,2\nc,1,2\n", "/test.csv:2: the series is \"c\""},
        {"a,1,2\n", "a,1\n", "/test.csv:1: 1 values, the horizon is 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        put(f.train, cases[i].train);
        if (cases[i].test)
            put(f.test, cases[i].test);
        struct emp_forecast_options o = {
            .train = f.train, .test = cases[i].test ? f.test : NULL, .horizon = 2, .season = 2};
        assert_true(emp_forecast_eval_series(&f.cli, &o, &f.report, &f.err) < 0);
        if (!strstr(f.err.text, cases[i].error))
            fail_msg("case %zu: %s", i, f.err.text);
        end(&f);
    }
    struct fixture f;
    begin(&f);
    struct emp_forecast_options o = {.train = "/nowhere/x.csv", .horizon = 1, .season = 1};
    assert_int_equal(emp_forecast_eval_series(&f.cli, &o, &f.report, &f.err), EMP_E_NOT_FOUND);
    o.horizon = 0;
    assert_int_equal(emp_forecast_eval_series(&f.cli, &o, &f.report, &f.err), EMP_E_INVALID);
    end(&f);
}

static void without_a_test_the_end_is_judged(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    put(f.train, "a,1,2,1,2,1,2,1,2,1,2,1,2\n");
    struct emp_forecast_options o = {.train = f.train, .horizon = 2, .season = 2};
    assert_int_equal(emp_forecast_eval_series(&f.cli, &o, &f.report, &f.err), 0);
    assert_true(near(score(&f, "snaive")->smape, 0));
    assert_true(near(score(&f, "naive")->wape, 1.0 / 3)); // misses each 1 by 1
    end(&f);
}

/* A trace of six days: base A every 10 minutes in office hours, B now and then. */
static void put_trace(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("seq,created,type,status,exec_s,images,steps,base_model,loras\n", file);
    for (int i = 0; i < 40; i++)
        fprintf(file, "%d,,TXT_2_IMG,,%d,1,30,A,\n", i, 20 + i % 3);
    for (int day = 1; day <= 6; day++)
        for (int m = 9 * 60; m < 18 * 60; m += 10)
            fprintf(file, "%d,2025-03-%02d %02d:%02d:00,TXT_2_IMG,SUCCEED,%d,1,30,%s,%s\n", m, day,
                    m / 60, m % 60, 20 + m / 10 % 3, m % 170 ? "A" : "B",
                    m % 40 ? "" : "L1:0.8;L2:1");
    assert_int_equal(fclose(file), 0);
}

static void a_trace_is_judged(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    put_trace(f.train);
    struct emp_forecast_options o = {.train = f.train, .from = "2025-03-06"};
    assert_int_equal(emp_forecast_eval_genai(&f.cli, &o, &f.report, &f.err), 0);
    const struct emp_forecast_score *ours = score(&f, "ours");
    assert_true(ours->wape < 0.3); // six an hour from nine to six, and little else
    assert_true(ours->wape < score(&f, "naive")->wape);
    assert_true(ours->coverage_80 > 0.5 && ours->coverage_80 <= 1);
    struct emp_writer w;
    struct emp_buf out;
    emp_buf_init(&out, 1 << 16);
    emp_writer_init(&w, &out);
    emp_write_object(&w, NULL);
    f.report.more_json(&f.report, &w);
    emp_write_end(&w);
    assert_non_null(strstr(out.data, "\"duration\":{\"jobs\":54,"));
    assert_non_null(strstr(out.data, "\"10\":{\"ours\":1"));
    emp_buf_release(&out);
    end(&f);
}

static void faults_of_a_trace_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "/train.csv: it is empty"},
        {"created,model\n", "/train.csv:1: there is no column \"base_model\" in the heading"},
        {"created,base_model\n2025-03-01 09:00:00,A\nyesterday,A\n",
         "/train.csv:3: \"yesterday\" is not a time"},
        {"created,base_model\n2025-03-01 09:00:00\n", "/train.csv:2: 1 fields, the heading has 2"},
        {"created,base_model,exec_s\n2025-03-01 09:00:00,A,long\n",
         "/train.csv:2: field 3, \"long\", is not a number"},
        {"created,base_model\n2025-03-02 09:00:00,A\n2025-03-01 09:00:00,A\n",
         "/train.csv:3: earlier than the line before it"},
        {"created,base_model\n,A\n", "no line of the trace has a time"},
        {"created,base_model\n2025-03-02 09:00:00,A\n", "nothing to judge"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        begin(&f);
        put(f.train, cases[i].text);
        struct emp_forecast_options o = {.train = f.train};
        assert_true(emp_forecast_eval_genai(&f.cli, &o, &f.report, &f.err) < 0);
        if (!strstr(f.err.text, cases[i].error))
            fail_msg("case %zu: %s", i, f.err.text);
        end(&f);
    }
}

static void what_cannot_be_asked_of_a_trace(void **state)
{
    (void)state;
    static const struct emp_forecast_options cases[] = {
        {.horizon = 3}, {.from = "11.2.2025"}, {.to = "2025-02-30"}, {.from = "2030-01-01"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        begin(&f);
        put_trace(f.train);
        struct emp_forecast_options o = cases[i];
        o.train = f.train;
        assert_int_equal(emp_forecast_eval_genai(&f.cli, &o, &f.report, &f.err), EMP_E_INVALID);
        end(&f);
    }
}

/* Published: M4's own table of accuracies. */
static void m4_hourly(void **state)
{
    (void)state;
    const char *data = getenv("EMP_TEST_DATA");
    char train[512], test[512];
    struct fixture f;
    snprintf(train, sizeof train, "%s/m4/Hourly-train.csv", data ? data : "");
    snprintf(test, sizeof test, "%s/m4/Hourly-test.csv", data ? data : "");
    if (!data || access(train, R_OK) != 0) {
        print_message("skipped: EMP_TEST_DATA names no directory with m4/Hourly-train.csv\n");
        skip();
    }
    begin(&f);
    struct emp_forecast_options o = {.train = train, .test = test};
    assert_int_equal(emp_forecast_eval_m4(&f.cli, &o, &f.report, &f.err), 0);
    static const struct {
        const char *name;
        double smape, mase, owa;
    } published[] = {{"naive", 43.003, 11.608, 3.593},
                     {"snaive", 13.912, 1.193, 0.6275},
                     {"ses", 18.094, 2.385, 0.9901},
                     {"theta", 18.138, 2.455, 1.0059}};
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const struct emp_forecast_score *s = score(&f, published[i].name);
        assert_true(fabs(s->smape - published[i].smape) < 0.002);
        assert_true(fabs(s->mase - published[i].mase) < 0.002);
        assert_true(fabs(s->owa - published[i].owa) < 0.0005);
    }
    assert_true(score(&f, "ours")->owa <= 0.45);
    assert_true(score(&f, "ours")->coverage_80 >= 0.76 && score(&f, "ours")->coverage_80 <= 0.84);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_by_hand),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(without_a_test_the_end_is_judged),
        cmocka_unit_test(a_trace_is_judged),
        cmocka_unit_test(faults_of_a_trace_are_named),
        cmocka_unit_test(what_cannot_be_asked_of_a_trace),
        cmocka_unit_test(m4_hourly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
