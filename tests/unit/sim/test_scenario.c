/* Scenarios: the built-in ones hold together, files are held against the table of keys, and what is
 * derived from the tables is what they say. */
#include "check.h"
#include "os/files.h"
#include "sim/measure/scenario_internal.h"

#include <math.h>

static void load(struct emp_scenario *sc, const char *name)
{
    struct emp_error err = {0};
    if (emp_scenario_load(sc, name, &err) < 0)
        fail_msg("%s", err.text);
}

static int parse(struct emp_scenario *sc, const char *text, struct emp_error *err)
{
    return emp_scenario_parse(sc, "dir/mine.yaml", text, strlen(text), err);
}

static void built_in_ones_are_what_was_asked(void **state)
{
    static const struct {
        const char *name;
        uint32_t machines, pools;
        double speedup;
        bool churn;
    } cases[] = {{"office", 10, 1, 1, false},
                 {"rush", 30, 1, 10, false},
                 {"churn", 15, 1, 1, true},
                 {"mixed", 20, 3, 1, false},
                 {"scale", 1000, 1, 1, false}};
    const struct emp_scenario_builtin *all;
    (void)state;
    assert_int_equal(emp_scenario_builtins(&all), sizeof cases / sizeof *cases);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_scenario sc;
        load(&sc, cases[i].name);
        assert_string_equal(all[i].name, cases[i].name);
        assert_true(emp_str_eq(sc.name, emp_str_z(cases[i].name)));
        assert_int_equal(sc.machines, cases[i].machines);
        assert_int_equal(sc.pool_count, cases[i].pools);
        assert_true(sc.speedup == cases[i].speedup);
        assert_true(sc.churn == cases[i].churn);
        emp_scenario_release(&sc);
    }
    struct emp_scenario office;
    load(&office, "office");
    assert_int_equal(office.pools[0].slots, 1);
    assert_int_equal(office.pools[0].gpu_memory_bytes, 24000000000);
    assert_int_equal(office.pools[0].ram_bytes, 32000000000);
    assert_int_equal(office.pools[0].disk_bytes, 100000000000);
    emp_scenario_release(&office);
}

static void one_may_start_from_another(void **state)
{
    struct emp_scenario sc, office;
    struct emp_error err = {0};
    (void)state;
    load(&office, "office");
    int r = parse(&sc,
                  "fleet:\n  pools:\n    - {name: standard, machines: 12, slots: 2, gpu_memory: "
                  "24gb, ram: 64gb, "
                  "disk: 200gb, jobs: [trace]}\ntrace: {speedup: 2.5}\nlike: office\n",
                  &err);
    if (r < 0)
        fail_msg("%s", err.text);
    assert_true(emp_str_eq(sc.name, EMP_STR("mine")));
    assert_int_equal(sc.machines, 12);
    assert_int_equal(sc.pools[0].disk_bytes, 200000000000);
    assert_true(sc.speedup == 2.5);
    assert_int_equal(sc.link_bytes_per_s.count, office.link_bytes_per_s.count);
    emp_scenario_release(&sc);
    emp_scenario_release(&office);
}

static void says_what_is_wrong_and_where(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "dir/mine.yaml:1: it is empty"},
        {"- a\n", "dir/mine.yaml:1: a scenario is a map of keys"},
        {"a: [\n", "dir/mine.yaml:2: did not find expected node content"},
        {"like: offfice\n", "dir/mine.yaml:1: like: \"offfice\" is no built-in scenario"},
        {"like: office\ntrace:\n  spedup: 2\n",
         "dir/mine.yaml:3: trace.spedup: unknown key; is \"trace.speedup\" meant?"},
        {"like: office\nhorses: 2\n", "dir/mine.yaml:2: horses: unknown key"},
        {"like: office\ntrace: 2\n", "dir/mine.yaml:2: trace: a map is needed"},
        {"like: office\ntrace: {speedup: fast}\n",
         "dir/mine.yaml:2: trace.speedup: \"fast\" is no number"},
        {"like: office\ntrace: {speedup: 0}\n",
         "dir/mine.yaml:2: trace.speedup: 0 is not in [0.001, 1e+06]"},
        {"like: office\nchurn: {on: maybe}\n",
         "dir/mine.yaml:2: churn.on: \"maybe\" is neither true nor false"},
        {"like: office\ngenerator: {start: 2025-02-30}\n",
         "dir/mine.yaml:2: generator.start: \"2025-02-30\" is no date"},
        {"like: office\ngenerator: {hours: [1, 2]}\n",
         "dir/mine.yaml:2: generator.hours: 2 numbers; 24 are needed"},
        {"like: office\nfleet: {link_mbit_per_s: {at: [[0, 1], [1, 2]]}}\n",
         "dir/mine.yaml:2: fleet.link_mbit_per_s: no source: say where the numbers are from"},
        {"like: office\nfleet: {link_mbit_per_s: {source: x}}\n",
         "dir/mine.yaml:2: fleet.link_mbit_per_s: no \"at\""},
        {"like: office\nfleet: {link_mbit_per_s: {source: x, at: [[0, 1]]}}\n",
         "dir/mine.yaml:2: fleet.link_mbit_per_s: 1 points; 2 to 1000 are needed"},
        {"like: office\nfleet: {link_mbit_per_s: {source: x, at: [[0, 1], [0.9, 2]]}}\n",
         "dir/mine.yaml:2: fleet.link_mbit_per_s: the first share must be 0 and the last 1"},
        {"like: office\nfleet: {link_mbit_per_s: {source: x, at: [[0, 3], [1, 2]]}}\n",
         "dir/mine.yaml:2: fleet.link_mbit_per_s: shares must grow and values must not fall"},
        {"like: office\nfleet: {link_mbit_per_s: {source: x, unit: y}}\n",
         "dir/mine.yaml:2: fleet.link_mbit_per_s: unknown key \"unit\""},
        {"like: office\nfleet:\n  pools:\n    - {name: a}\n",
         "dir/mine.yaml:4: fleet.pools: a pool needs name, machines"},
        {"like: office\nfleet:\n  pools:\n    - {name: a, machines: 1.5}\n",
         "dir/mine.yaml:4: fleet.pools: 1.5 is no whole number"},
        {"like: office\nfleet:\n  pools:\n    - {name: a, disk: big}\n",
         "dir/mine.yaml:4: fleet.pools: \"big\" is no size; write 24gb"},
        {"like: office\nfleet:\n  pools:\n    - {name: a, jobs: [fun]}\n",
         "dir/mine.yaml:4: fleet.pools: \"fun\" is none of trace, text, video"},
        {"like: office\nfleet:\n  pools: []\n",
         "dir/mine.yaml:3: fleet.pools: 0 entries; 1 to 1000 are needed"},
        {"like: office\nfleet:\n  pools:\n    - {name: a, machines: 1, slots: 1, gpu_memory: 1gb, "
         "ram: 1gb, disk: 1gb, "
         "jobs: [text]}\n",
         "dir/mine.yaml: fleet.pools: no pool is for some of the jobs"},
        {"about: nothing\n", "dir/mine.yaml: it needs fleet.pools"},
        {"like: office\ntext: {jobs_per_hour: 5}\n", "dir/mine.yaml: it needs text.rate"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_scenario sc;
        struct emp_error err = {0};
        int r = parse(&sc, cases[i].text, &err);
        if (r >= 0 || strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("case %zu gave \"%s\", not \"%s\"", i, r < 0 ? err.text : "success",
                     cases[i].says);
    }
}

static void an_unknown_name_names_those_there_are(void **state)
{
    struct emp_scenario sc;
    struct emp_error err = {0};
    (void)state;
    assert_int_equal(emp_scenario_load(&sc, "ofice", &err), EMP_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "there are office, rush, churn, mixed, scale"));
    assert_int_equal(emp_scenario_load(&sc, "./no/such.yaml", &err), EMP_E_NOT_FOUND);
}

static void quantiles_are_straight_between_points(void **state)
{
    double share[] = {0, 0.5, 1}, value[] = {10, 20, 100};
    struct emp_quantiles q = {.count = 3, .share = share, .value = value};
    (void)state;
    assert_true(emp_quantiles_at(&q, -1) == 10);
    assert_true(emp_quantiles_at(&q, 0.25) == 15);
    assert_true(emp_quantiles_at(&q, 0.5) == 20);
    assert_true(emp_quantiles_at(&q, 0.75) == 60);
    assert_true(emp_quantiles_at(&q, 2) == 100);
    assert_true(emp_quantiles_at(&q, NAN) == 10);
    assert_true(fabs(emp_quantiles_mean(&q) - 37.5) < 1e-9);
}

static void a_model_has_the_same_size_always(void **state)
{
    struct emp_scenario sc;
    double sum = 0;
    int large = 0;
    enum { N = 2000 };
    (void)state;
    load(&sc, "office");
    for (int i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof name, "M%04d", i);
        struct emp_trace_model m = {.name = emp_str_z(name), .kind = EMP_TRACE_BASE};
        int64_t bytes = emp_scenario_model_bytes(&sc, &m);
        assert_int_equal(bytes, emp_scenario_model_bytes(&sc, &m));
        assert_in_range(bytes, 2000000000, 18000000000);
        sum += (double)bytes;
        large += bytes > 6700000000;
    }
    /* The families' shares: 69 % of mean 3.2 GB, 31 % of 6.9, and a few Flux. */
    assert_true(sum / N > 4.0e9 && sum / N < 5.0e9);
    assert_true(large > N / 4 && large < N * 2 / 5);
    struct emp_trace_model said = {.name = EMP_STR("x"), .bytes = 12345};
    assert_int_equal(emp_scenario_model_bytes(&sc, &said), 12345);
    emp_scenario_release(&sc);
}

static void run_time_is_less_what_loras_took(void **state)
{
    struct emp_scenario sc;
    struct emp_trace t;
    (void)state;
    load(&sc, "office");
    emp_trace_init(&t);
    uint32_t models[] = {emp_trace_model(&t, EMP_STR("b"), EMP_TRACE_BASE, 0),
                         emp_trace_model(&t, EMP_STR("l"), EMP_TRACE_LORA, 0)};
    emp_trace_add(&t, (struct emp_trace_job){.exec_ms = 30000, .exec_has_load = true}, models, 2);
    emp_trace_add(&t, (struct emp_trace_job){.exec_ms = 30000, .exec_has_load = false}, models, 2);
    emp_trace_add(&t, (struct emp_trace_job){.exec_ms = 4000, .exec_has_load = true}, models, 2);
    assert_int_equal(emp_scenario_run_ms(&sc, &t, &t.jobs[0]), 25600);
    assert_int_equal(emp_scenario_run_ms(&sc, &t, &t.jobs[1]), 30000);
    assert_int_equal(emp_scenario_run_ms(&sc, &t, &t.jobs[2]), 1000); /* the least there is */
    emp_trace_release(&t);
    emp_scenario_release(&sc);
}

static void the_fleet_has_mean_factor_one(void **state)
{
    struct emp_scenario sc;
    (void)state;
    load(&sc, "office");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        double sum = 0;
        int fast = 0;
        for (uint32_t i = 0; i < sc.machines; i++) {
            struct emp_scenario_machine m, again;
            emp_scenario_machine(&sc, seed, i, 0, &m);
            emp_scenario_machine(&sc, seed, i, 0, &again);
            assert_memory_equal(&m, &again, sizeof m);
            assert_true(m.up_ms == EMP_NEVER);
            assert_in_range(m.link_bytes_per_s, 56.9 * 125000, 2745.1 * 125000);
            sum += m.time;
            fast += m.time < 1;
        }
        assert_true(fabs(sum / sc.machines - 1) < 1e-9);
        assert_in_range(fast, 6, 8); /* 68 % of one type: evenly spread, whatever the seed */
    }
    emp_scenario_release(&sc);
}

static void machines_live_as_the_table_says(void **state)
{
    struct emp_scenario sc;
    int outlive = 0, day = 0;
    enum { N = 5000 };
    (void)state;
    load(&sc, "churn");
    for (uint32_t life = 0; life < N; life++) {
        struct emp_scenario_machine m;
        emp_scenario_machine(&sc, 7, 3, life, &m);
        outlive += m.up_ms == EMP_NEVER;
        day += m.up_ms < 24 * 3600000;
        assert_in_range(m.startup_ms, 2 * 60000, 85 * 60000);
    }
    /* 26 % outlive the table; of the rest, 43 % are gone within a day. */
    assert_in_range(outlive, N * 24 / 100, N * 29 / 100);
    assert_in_range(day, N * 28 / 100, N * 35 / 100);
    emp_scenario_release(&sc);
}

static void every_assumption_is_printed_with_its_source(void **state)
{
    struct emp_scenario sc;
    struct emp_buf out;
    (void)state;
    load(&sc, "mixed");
    emp_buf_init(&out, 1 << 20);
    emp_scenario_print(&sc, &out);
    assert_false(out.failed);
    assert_non_null(strstr(out.data, "download rate of a machine, Mbit/s: p5 "));
    assert_non_null(
        strstr(out.data, "[download rates of 200 nodes, SALAD documentation, CC-BY-4.0]"));
    assert_non_null(strstr(out.data, "heavy: 6 machines"));
    assert_non_null(strstr(out.data, "run time of a video job, s: p5 "));
    assert_non_null(strstr(out.data, "note: "));
    emp_buf_release(&out);
    emp_scenario_release(&sc);
}

static void the_manual_names_every_key_and_scenario(void **state)
{
    struct emp_buf text;
    struct emp_error err = {0};
    const struct emp_scenario_builtin *all;
    char wanted[160];
    (void)state;
    emp_buf_init(&text, 1 << 22);
    if (emp_file_read_all(DOCUMENT, 1 << 22, &text, &err) < 0)
        fail_msg("%s", err.text);
    for (const struct emp_scenario_key *k = emp_scenario_keys; k->path; k++) {
        snprintf(wanted, sizeof wanted, "| `%s` |", k->path);
        if (!strstr(text.data, wanted))
            fail_msg("docs/simulation.md does not name %s", k->path);
    }
    uint32_t count = emp_scenario_builtins(&all);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(wanted, sizeof wanted, "| `%s` |", all[i].name);
        assert_non_null(strstr(text.data, wanted));
    }
    emp_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_ones_are_what_was_asked),
        cmocka_unit_test(one_may_start_from_another),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(an_unknown_name_names_those_there_are),
        cmocka_unit_test(quantiles_are_straight_between_points),
        cmocka_unit_test(a_model_has_the_same_size_always),
        cmocka_unit_test(run_time_is_less_what_loras_took),
        cmocka_unit_test(the_fleet_has_mean_factor_one),
        cmocka_unit_test(machines_live_as_the_table_says),
        cmocka_unit_test(the_manual_names_every_key_and_scenario),
        cmocka_unit_test(every_assumption_is_printed_with_its_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
