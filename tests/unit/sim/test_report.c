/* The report: what is recorded for it, and that the page needs nothing else and says what it
 * should. */
#include "check.h"
#include "sim/measure/picture.h"

static const char small[] =
    "like: office\nabout: a <small> one\nfleet:\n  pools:\n    - {name: a&b, machines: 3, slots: "
    "1, gpu_memory: 24gb, ram: 32gb, disk: 30gb, jobs: [trace]}\n"
    "generator: {days: 1, history: 200, jobs_per_workday: 1500}\n";

enum { POLICIES = 2 };
static const char *const names[POLICIES] = {"affinity", "emp"};

struct run {
    struct emp_scenario scenario;
    struct emp_trace trace;
    struct emp_measure_figures figures[POLICIES];
    struct emp_measure_picture pictures[POLICIES];
    struct emp_buf page;
};

static int set_up(void **state)
{
    struct run *r = calloc(1, sizeof *r);
    struct emp_error err = {0};
    if (emp_scenario_parse(&r->scenario, "small.yaml", small, strlen(small), &err) < 0)
        fail_msg("%s", err.text);
    r->scenario.churn = true; /* with machines that are gone */
    for (uint32_t i = 0; i < r->scenario.uptime_ms.count; i++)
        r->scenario.uptime_ms.value[i] /= 20;
    emp_trace_init(&r->trace);
    assert_int_equal(emp_trace_open(&r->trace, &r->scenario, NULL, NULL, NULL, 5, &err), 0);
    for (int k = 0; k < POLICIES; k++) {
        char violation[EMP_SIM_VIOLATION_MAX];
        emp_measure_picture_init(&r->pictures[k]);
        emp_measure(
            &(struct emp_measure_run){.scenario = &r->scenario,
                                      .trace = &r->trace,
                                      .policy = emp_measure_policy_find(emp_str_z(names[k])),
                                      .seed = 5,
                                      .picture = &r->pictures[k]},
            &r->figures[k], violation);
        assert_string_equal(violation, "");
    }
    emp_buf_init(&r->page, 64 << 20);
    emp_measure_report(&(struct emp_measure_report){.scenario = &r->scenario,
                                                    .runs = r->figures,
                                                    .run_count = POLICIES,
                                                    .pictures = r->pictures,
                                                    .picture_count = POLICIES,
                                                    .command = "emp sim run small.yaml"},
                       &r->page);
    assert_false(r->page.failed);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct run *r = *state;
    for (int k = 0; k < POLICIES; k++)
        emp_measure_picture_release(&r->pictures[k]);
    emp_trace_release(&r->trace);
    emp_scenario_release(&r->scenario);
    emp_buf_release(&r->page);
    free(r);
    return 0;
}

static void waits_are_those_of_the_figures(void **state)
{
    const struct run *r = *state;
    for (int k = 0; k < POLICIES; k++) {
        const struct emp_measure_picture *p = &r->pictures[k];
        double within = 0;
        for (uint32_t i = 0; i < EMP_PICTURE_WAITS; i++) {
            assert_true(i == 0 || p->wait_share[i] >= p->wait_share[i - 1]);
            if (emp_picture_wait_s(i) <= 10.0001)
                within = p->wait_share[i];
        }
        double told = emp_measure_part(r->figures[k].within_10s);
        assert_true(within > told - 1e-9 && within < told + 1e-9);
        assert_true(p->wait_share[EMP_PICTURE_WAITS - 1] > 0.999);
    }
}

static void the_queue_is_between_nothing_and_all(void **state)
{
    const struct run *r = *state;
    for (int k = 0; k < POLICIES; k++) {
        const struct emp_measure_picture *p = &r->pictures[k];
        uint32_t most_running = 0, most_waiting = 0;
        assert_true(p->from < p->to);
        for (int i = 0; i < EMP_PICTURE_POINTS; i++) {
            most_running = p->running[i] > most_running ? p->running[i] : most_running;
            most_waiting = p->waiting[i] > most_waiting ? p->waiting[i] : most_waiting;
        }
        /* A lost attempt's job may still count as running beside its next machine's. */
        assert_in_range(most_running, 2, 5);
        assert_in_range(most_waiting, 1, r->figures[k].jobs);
    }
}

static void machines_do_one_thing_at_a_time_in_the_hour(void **state)
{
    const struct run *r = *state;
    for (int k = 0; k < POLICIES; k++) {
        const struct emp_measure_picture *p = &r->pictures[k];
        uint32_t kinds[EMP_PICTURE_DOWN + 1] = {0};
        assert_int_equal(p->rows, 3);
        assert_false(p->cut);
        assert_int_equal(p->window_from, r->pictures[0].window_from);
        for (uint32_t i = 0; i < p->stretch_count; i++) {
            const struct emp_picture_stretch *s = &p->stretches[i];
            kinds[s->kind]++;
            assert_true(s->from < s->to && s->row < p->rows && s->model < p->models.count);
            assert_true(s->from >= p->window_from &&
                        s->to <= p->window_from + EMP_PICTURE_WINDOW_MS);
            for (uint32_t j = 0; j < i; j++) /* one slot: what computes does not overlap */
                if (s->kind == EMP_PICTURE_RUN && p->stretches[j].kind == EMP_PICTURE_RUN &&
                    p->stretches[j].row == s->row)
                    assert_true(p->stretches[j].to <= s->from || s->to <= p->stretches[j].from);
        }
        assert_true(kinds[EMP_PICTURE_RUN] > 50 && kinds[EMP_PICTURE_LOAD] > 0);
    }
}

static uint32_t times(const char *text, const char *word)
{
    uint32_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

static void the_page_needs_nothing_else(void **state)
{
    const struct run *r = *state;
    const char *page = r->page.data;
    assert_int_equal(times(page, "<svg"), 1 + 2 * POLICIES);
    assert_int_equal(times(page, "</svg>"), 1 + 2 * POLICIES);
    assert_int_equal(times(page, "http"), times(page, "http://www.w3.org/2000/svg"));
    static const char *const none[] = {"<script", "src=", "href=", "@import",
                                       "url(",    "nan",  "inf,",  "-inf"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (strstr(page, none[i]))
            fail_msg("%s is in it: %.80s", none[i], strstr(page, none[i]));
    assert_int_equal(times(page, "<table>"), 1);
    assert_true(times(page, "<tr>") > 20);
}

static void names_are_text_and_not_markup(void **state)
{
    const struct run *r = *state;
    assert_non_null(strstr(r->page.data, "a &lt;small&gt; one"));
    assert_null(strstr(r->page.data, "a <small> one"));
    assert_non_null(strstr(r->page.data, "a&amp;b"));
    assert_non_null(strstr(r->page.data, "emp sim run small.yaml"));
    assert_non_null(strstr(r->page.data, "SALAD documentation, CC-BY-4.0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_those_of_the_figures),
        cmocka_unit_test(the_queue_is_between_nothing_and_all),
        cmocka_unit_test(machines_do_one_thing_at_a_time_in_the_hour),
        cmocka_unit_test(the_page_needs_nothing_else),
        cmocka_unit_test(names_are_text_and_not_markup),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
