/* The usage log: counts held against a plain list of events, its limits, its rows, life-cycles and
 * collections. */
#include "policy/usage.h"

#include "base/error.h"
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR  ((int64_t)EMP_USAGE_HOUR_MS)
#define DAY   ((int64_t)EMP_USAGE_DAY_MS)
#define START (20000 * DAY)

struct fixture {
    struct emp_arena arena;
    struct emp_usage usage;
};

static void begin(struct fixture *f, const struct emp_usage_options *o)
{
    emp_arena_init(&f->arena, 0);
    emp_usage_init(&f->usage, &f->arena, o);
}

static void end(struct fixture *f)
{
    emp_arena_release(&f->arena);
}

static uint32_t job(struct emp_usage *u, emp_wall_ms at, const char *a, const char *b,
                    const char *c)
{
    struct emp_str names[3] = {emp_str_z(a), emp_str_z(b), emp_str_z(c)};
    uint32_t n = c ? 3 : b ? 2 : a ? 1 : 0;
    return emp_usage_observe(u, &(struct emp_usage_event){.at = at,
                                                          .models = names,
                                                          .model_count = n,
                                                          .pool = EMP_STR("fast"),
                                                          .tier = EMP_STR("gold")});
}

static const struct emp_usage_series *model(const struct emp_usage *u, const char *name)
{
    uint32_t n = emp_usage_find(u, EMP_USAGE_KIND_MODEL, emp_str_z(name));
    assert_int_not_equal(n, EMP_USAGE_NONE);
    return &u->series[n];
}

static void counts_are_those_of_a_list(void **state)
{
    (void)state;
    enum { EVENTS = 20000, MODELS = 7 };
    static int64_t at[EVENTS];
    static int which[EVENTS];
    struct emp_random r;
    struct fixture f;
    emp_random_init(&r, 1);
    begin(&f, NULL);
    int64_t now = START + 40 * DAY;
    for (int i = 0; i < EVENTS; i++) { // mostly in order, some late
        at[i] = START + (int64_t)((double)i / EVENTS * 40 * (double)DAY);
        if (emp_random_below(&r, 10) == 0)
            at[i] -= (int64_t)emp_random_below(&r, (uint64_t)(5 * HOUR));
        which[i] = (int)emp_random_below(&r, MODELS);
        char name[8];
        snprintf(name, sizeof name, "m%d", which[i]);
        job(&f.usage, at[i], name, NULL, NULL);
    }
    static const int64_t spans[] = {EMP_USAGE_FINE_MS, HOUR, DAY};
    static const int64_t reach[] = {7 * DAY, 40 * DAY, 40 * DAY};
    for (int n_case = 0; n_case < 600; n_case++) {
        int g = n_case % 3, m = (int)emp_random_below(&r, MODELS);
        int64_t from = now -
                       (int64_t)emp_random_below(&r, (uint64_t)(reach[g] / spans[g])) * spans[g];
        from -= from % spans[g];
        uint32_t expected = 0, fleet = 0;
        for (int i = 0; i < EVENTS; i++) {
            bool inside = at[i] >= from && at[i] < from + spans[g];
            expected += inside && which[i] == m;
            fleet += inside;
        }
        char name[8];
        snprintf(name, sizeof name, "m%d", m);
        uint32_t index = (uint32_t)(from / spans[g]);
        check_case(n_case, emp_usage_bucket(model(&f.usage, name), g, index) == expected);
        check_case(n_case, emp_usage_bucket(&f.usage.series[EMP_USAGE_FLEET], g, index) == fleet);
        double sum = emp_usage_between(model(&f.usage, name), from, from + spans[g], now);
        check_case(n_case, g == 0 || fabs(sum - expected) < 1e-9 || now - from > 56 * DAY);
    }
    assert_int_equal(f.usage.series[EMP_USAGE_FLEET].uses, EVENTS);
    assert_int_equal(f.usage.late, 0);
    end(&f);
}

static void a_bucket_that_is_cut_counts_by_its_share(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    for (int i = 0; i < 8; i++)
        job(&f.usage, START, "m", NULL, NULL);
    const struct emp_usage_series *s = model(&f.usage, "m");
    int64_t half = EMP_USAGE_FINE_MS / 2;
    assert_true(fabs(emp_usage_between(s, START, START + half, START + HOUR) - 4) < 1e-9);
    assert_true(fabs(emp_usage_between(s, START + half, START + HOUR, START + HOUR) - 4) < 1e-9);
    end(&f);
}

static void names_that_are_none_count_nowhere(void **state)
{
    (void)state;
    struct fixture f;
    char large[300];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    begin(&f, NULL);
    assert_int_equal(job(&f.usage, START, "", "a\nb", large), EMP_USAGE_NONE);
    assert_int_equal(f.usage.models, 0);
    assert_int_equal(f.usage.series[EMP_USAGE_FLEET].uses, 1);
    uint32_t set = job(&f.usage, START, "a", "a", "");
    assert_int_equal(f.usage.series[set].model_count, 1);
    assert_int_equal(model(&f.usage, "a")->uses, 1);
    end(&f);
}

static void a_set_is_its_base_and_the_others_in_any_order(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    uint32_t set = job(&f.usage, START, "base", "x", "y");
    assert_int_equal(job(&f.usage, START, "base", "y", "x"), set);
    assert_int_not_equal(job(&f.usage, START, "x", "base", "y"), set);
    assert_int_equal(f.usage.series[set].base,
                     emp_usage_find(&f.usage, EMP_USAGE_KIND_MODEL, EMP_STR("base")));
    assert_int_equal(f.usage.series[set].uses, 2);
    emp_usage_observe_wait(&f.usage, set, 30000, true);
    emp_usage_observe_wait(&f.usage, set, 900, false);
    assert_int_equal(model(&f.usage, "x")->first.count, 1);
    assert_int_equal(model(&f.usage, "x")->first.within_10s, 0);
    assert_int_equal(model(&f.usage, "y")->repeat.within_10s, 1);
    end(&f);
}

/* An endless stream of new names: limits hold, what is used stays, memory stops to grow. */
static void newcomers_take_the_place_of_the_unused(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct emp_usage_options){.models_max = 64, .sets_max = 50, .pairs_max = 128});
    size_t settled = 0;
    for (int i = 0; i < 12000; i++) {
        char a[24], b[24];
        snprintf(a, sizeof a, "a%d", i);
        snprintf(b, sizeof b, "b%d", i);
        job(&f.usage, START + i * HOUR / 2, "always", a, b);
        assert_true(f.usage.models <= 64 && f.usage.sets <= 50 && f.usage.pair_count <= 128);
        assert_true(f.usage.series_count <= 64 + 50 + 8);
        if (i == 6000)
            settled = f.arena.total_bytes;
    }
    assert_int_equal(model(&f.usage, "always")->uses, 12000);
    assert_true(f.arena.total_bytes <= settled + 128 * 1024);
    for (uint32_t n = 1; n < f.usage.series_count; n++) {
        const struct emp_usage_series *s = &f.usage.series[n];
        for (uint32_t i = 0; s->kind == EMP_USAGE_KIND_SET && i < s->model_count; i++)
            assert_int_equal(f.usage.series[s->models[i]].kind, EMP_USAGE_KIND_MODEL);
        for (int g = 0; g < EMP_USAGE_GRAINS; g++)
            assert_true(s->grain[g].count <= EMP_USAGE_HOURS_KEPT);
    }
    end(&f);
}

static void check_same(const struct emp_usage *a, const struct emp_usage *b)
{
    assert_int_equal(a->models, b->models);
    assert_int_equal(a->sets, b->sets);
    assert_int_equal(a->places, b->places);
    for (uint32_t n = 1; n < a->series_count; n++) {
        const struct emp_usage_series *x = &a->series[n], *y = &b->series[n];
        if (x->kind == EMP_USAGE_KIND_FREE)
            continue;
        assert_int_equal(x->kind, y->kind);
        assert_true(emp_str_eq(x->name, y->name));
        assert_int_equal(x->uses, y->uses);
        assert_int_equal(x->last_at, y->last_at);
        assert_memory_equal(&x->repeat, &y->repeat, sizeof x->repeat);
        assert_memory_equal(&x->downloads, &y->downloads, sizeof x->downloads);
        assert_true(emp_str_eq(emp_intern_name(&a->groups, x->group),
                               emp_intern_name(&b->groups, y->group)));
        for (int g = 0; g < EMP_USAGE_GRAINS; g++) {
            assert_int_equal(x->grain[g].count, y->grain[g].count);
            if (x->grain[g].count)
                assert_memory_equal(x->grain[g].at, y->grain[g].at,
                                    x->grain[g].count * sizeof *x->grain[g].at);
        }
    }
    for (uint32_t i = 0; i < a->pair_count; i++)
        assert_true(a->pairs[i].a == b->pairs[i].a &&
                    fabs(a->pairs[i].weight - b->pairs[i].weight) < 1e-5);
}

enum { ROWS = 4096 };
struct rows {
    struct emp_usage_row of[2][ROWS];
};

/* A store: rows by table and number. */
static uint32_t flush(struct emp_usage *u, struct emp_arena *arena, struct rows *rows)
{
    struct emp_usage_row row;
    uint32_t n = 0;
    for (; emp_usage_changed(u, arena, &row); n++) {
        assert_true(row.number < ROWS && row.length <= EMP_USAGE_ROW_BYTES_MAX);
        rows->of[row.table][row.number] = row;
    }
    return n;
}

static void random_jobs(struct emp_usage *u, struct emp_random *r, int64_t from, int n)
{
    for (int i = 0; i < n; i++) {
        char a[8], b[8];
        snprintf(a, sizeof a, "b%d", (int)emp_random_below(r, 30));
        snprintf(b, sizeof b, "l%d", (int)emp_random_below(r, 100));
        uint32_t set = job(u, from + i * 60000, a, i % 3 ? b : NULL, NULL);
        emp_usage_model(u, emp_str_z(a), EMP_STR("checkpoint"));
        emp_usage_observe_wait(u, set, (int64_t)emp_random_below(r, 20000), i % 5 == 0);
        emp_usage_observe_download(u, u->series[set].base, 1000, 30, i % 7 != 0);
    }
}

static void rows_bring_it_back(void **state)
{
    (void)state;
    static struct rows rows;
    struct emp_random r;
    struct fixture f, g;
    struct emp_usage_options o = {.models_max = 80, .sets_max = 200, .pairs_max = 150};
    emp_random_init(&r, 3);
    begin(&f, &o);
    for (int round = 0; round < 5; round++) {
        random_jobs(&f.usage, &r, START + round * DAY, 700);
        assert_true(flush(&f.usage, &f.arena, &rows) > 0);
        assert_int_equal(flush(&f.usage, &f.arena, &rows), 0);
    }
    begin(&g, &o);
    for (uint32_t i = 0; i < 2 * ROWS; i++) { // last first: sets before their models
        const struct emp_usage_row *row = &rows.of[i / ROWS][ROWS - 1 - i % ROWS];
        if (row->length)
            assert_int_equal(emp_usage_load(&g.usage, row), 0);
    }
    emp_usage_load_end(&g.usage);
    check_same(&f.usage, &g.usage);
    assert_int_equal(flush(&g.usage, &g.arena, &rows), 0);
    random_jobs(&f.usage, &r, START + 6 * DAY, 1); // and it goes on working
    random_jobs(&g.usage, &r, START + 6 * DAY, 500);
    end(&g);
    end(&f);
}

static void a_set_without_its_model_is_dropped(void **state)
{
    (void)state;
    static struct rows rows;
    struct fixture f, g;
    begin(&f, NULL);
    job(&f.usage, START, "a", "b", NULL);
    job(&f.usage, START, "c", NULL, NULL);
    flush(&f.usage, &f.arena, &rows);
    uint32_t gone = emp_usage_find(&f.usage, EMP_USAGE_KIND_MODEL, EMP_STR("b"));
    begin(&g, NULL);
    for (uint32_t i = 0; i < 2 * ROWS; i++) {
        const struct emp_usage_row *row = &rows.of[i / ROWS][i % ROWS];
        if (row->length && !(row->table == EMP_USAGE_TABLE_SERIES && row->number == gone))
            assert_int_equal(emp_usage_load(&g.usage, row), 0);
    }
    emp_usage_load_end(&g.usage);
    assert_int_equal(g.usage.models, 2);
    assert_int_equal(g.usage.sets, 1);
    for (uint32_t i = 0; i < g.usage.pair_count; i++)
        assert_int_equal(g.usage.pairs[i].a, 0);
    end(&g);
    end(&f);
}

/* Bytes that were tampered with are refused or give a log that holds together; never a crash. */
static void rows_of_rubbish_are_refused(void **state)
{
    (void)state;
    static struct rows rows;
    struct emp_random r;
    struct fixture f;
    emp_random_init(&r, 5);
    begin(&f, NULL);
    random_jobs(&f.usage, &r, START, 300);
    flush(&f.usage, &f.arena, &rows);
    long refused = 0;
    for (long n_case = 0; n_case < 4000; n_case++) {
        struct fixture g;
        struct emp_usage_row row = rows.of[n_case % 5 == 0][emp_random_below(&r, 150)];
        if (!row.length)
            continue;
        unsigned char *bytes = malloc(row.length);
        memcpy(bytes, row.bytes, row.length);
        for (uint64_t k = 1 + emp_random_below(&r, 4); k > 0; k--)
            bytes[emp_random_below(&r, row.length)] = (unsigned char)emp_random_u64(&r);
        if (n_case % 3 == 0)
            row.length = 1 + (uint32_t)emp_random_below(&r, row.length);
        row.bytes = bytes;
        begin(&g, NULL);
        int result = emp_usage_load(&g.usage, &row);
        check_case(n_case, result == 0 || result == EMP_E_INVALID);
        check_case(n_case, result == 0 || g.usage.models + g.usage.sets + g.usage.places == 0);
        refused += result != 0;
        emp_usage_load_end(&g.usage);
        job(&g.usage, START + HOUR, "b1", "l1", NULL);
        end(&g);
        free(bytes);
    }
    assert_true(refused > 1000);
    end(&f);
}

/* `per_day` uses in hours 9 … 18 of each day, with chance. */
static void days_of(struct emp_usage *u, struct emp_random *r, const char *name, int from, int to,
                    double per_day)
{
    for (int d = from; d < to; d++)
        for (int h = 9; h < 19; h++)
            for (double left = per_day / 10; emp_random_unit(r) < left; left -= 1)
                job(u, START + d * DAY + h * HOUR + (int64_t)emp_random_below(r, (uint64_t)HOUR),
                    name, NULL, NULL);
}

static void life_cycles_are_told_apart(void **state)
{
    (void)state;
    struct fixture f;
    struct emp_random r;
    emp_random_init(&r, 9);
    begin(&f, NULL);
    for (int d = 0; d < 30; d++) {
        days_of(&f.usage, &r, "stable", d, d + 1, 40);
        days_of(&f.usage, &r, "rare", d, d + 1, 0.3);
        days_of(&f.usage, &r, "trending", d, d + 1, d < 25 ? 10 : 60);
        days_of(&f.usage, &r, "declining", d, d + 1, d < 25 ? 60 : 8);
        days_of(&f.usage, &r, "deprecated", d, d + 1, d < 15 ? 30 : 0);
        days_of(&f.usage, &r, "new", d, d + 1, d < 28 ? 0 : 20);
    }
    static const char *const names[] = {"stable", "trending", "declining", "deprecated", "new"};
    for (size_t i = 0; i < COUNT(names); i++) {
        uint32_t n = (uint32_t)(model(&f.usage, names[i]) - f.usage.series);
        struct emp_usage_evidence e = emp_usage_evidence(&f.usage, n, START + 30 * DAY);
        assert_string_equal(emp_usage_life_word(e.life), names[i]);
    }
    uint32_t rare = (uint32_t)(model(&f.usage, "rare") - f.usage.series);
    assert_int_equal(emp_usage_evidence(&f.usage, rare, START + 30 * DAY).life,
                     EMP_USAGE_LIFE_STABLE);
    end(&f);
}

static void what_goes_together_is_found(void **state)
{
    (void)state;
    struct fixture f;
    struct emp_random r;
    emp_random_init(&r, 11);
    begin(&f, NULL);
    for (int i = 0; i < 400; i++) {
        int64_t at = START + i * HOUR / 4;
        job(&f.usage, at, "sdxl", i % 4 ? "ink" : NULL, i % 4 > 1 ? "hands" : NULL);
        job(&f.usage, at, "flux", i % 10 ? NULL : "ink", NULL);
        job(&f.usage, at, "ocr", NULL, NULL);
    }
    int64_t now = START + 100 * HOUR;
    struct emp_usage_partner p[2];
    uint32_t ink = (uint32_t)(model(&f.usage, "ink") - f.usage.series);
    assert_int_equal(emp_usage_partners(&f.usage, ink, now, p, 2), 2);
    assert_str(f.usage.series[p[0].model].name, "sdxl");
    assert_str(f.usage.series[p[1].model].name, "hands");
    assert_true(p[0].share > 0.8 && p[0].share < 0.95 && p[0].lift > 2);
    struct emp_usage_collection *c;
    assert_int_equal(emp_usage_collections(&f.usage, now, &f.arena, &c), 1);
    assert_int_equal(c[0].model_count, 3);
    assert_str(f.usage.series[c[0].models[0]].name, "sdxl");
    assert_true(c[0].strength >= 0.5 && c[0].strength <= 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_a_list),
        cmocka_unit_test(a_bucket_that_is_cut_counts_by_its_share),
        cmocka_unit_test(names_that_are_none_count_nowhere),
        cmocka_unit_test(a_set_is_its_base_and_the_others_in_any_order),
        cmocka_unit_test(newcomers_take_the_place_of_the_unused),
        cmocka_unit_test(rows_bring_it_back),
        cmocka_unit_test(a_set_without_its_model_is_dropped),
        cmocka_unit_test(rows_of_rubbish_are_refused),
        cmocka_unit_test(life_cycles_are_told_apart),
        cmocka_unit_test(what_goes_together_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
