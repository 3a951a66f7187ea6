/* The reader of traces: what it takes from both formats, what it refuses, with which words. */
#include "base/random.h"
#include "check.h"
#include "sim/measure/csv.h"
#include "sim/measure/scenario.h"
#include "sim/measure/trace_write.h"

#include <stdio.h>

#define GENAI                                                                                   \
    "seq,created,modified,user,type,status,exec_s,prompt_len,neg_prompt_len,images,steps,base_" \
    "model,loras\n"
#define PLAIN "submitted_at,models,run_ms\n"

static int parse(struct emp_trace *t, const char *text, struct emp_error *err)
{
    emp_trace_init(t);
    return emp_trace_parse(t, "dir/t.csv", text, strlen(text), err);
}

static void reads_rows_of_the_published_format(void **state)
{
    static const char text[] = GENAI
        "0,,,,TXT_2_IMG,,22,54,26,1,30,M2,L1:0.5;L2:1.0\n"
        "1,2025-02-01 09:57:50,2025-02-01 09:58:22,G0,TXT_2_IMG,SUCCEED,32,1,2,4,25,M1,\n"
        "2,2025-02-01 09:57:50,,G1,TXT_2_IMG,FAILED,7.5,1,2,,,M2,L1:0.5;L1:0.7\n"
        "3,2025-02-01 10:00:00,,G1,TXT_2_IMG,PENDING,7,1,2,,,M9,\n"
        "4,2025-02-01 10:00:01,,G1,TXT_2_IMG,PROCESSING,7,1,2,,,M9,\n"
        "5,2025-02-01 10:00:02,,G1,TXT_2_IMG,SUCCEED,7,1,2,,,,\n"
        "6,2025-02-01 10:00:03,,G1,TXT_2_IMG,SUCCEED,,1,2,,,M1,\n"
        "7,,,G1,TXT_2_IMG,SUCCEED,9,1,2,,,M1,\n"
        "8,2025-02-02 00:00:00,,G0,TXT_2_IMG,SUCCEED,0,1,2,,,M1,";
    struct emp_trace t;
    struct emp_error err = {0};
    (void)state;
    assert_int_equal(parse(&t, text, &err), 0);
    assert_int_equal(t.job_count, 4);
    assert_int_equal(t.history_count, 1);
    assert_int_equal(t.counted_from, 1);
    assert_int_equal(t.skipped[EMP_TRACE_SKIP_PENDING], 2);
    assert_int_equal(t.skipped[EMP_TRACE_SKIP_NO_MODEL], 1);
    assert_int_equal(t.skipped[EMP_TRACE_SKIP_NO_EXEC], 1);
    assert_int_equal(t.skipped[EMP_TRACE_SKIP_NO_TIME], 1);
    assert_int_equal(t.failed_rows, 1);
    assert_true(emp_str_eq(t.name, EMP_STR("t.csv")));
    const struct emp_trace_job *j = t.jobs;
    assert_int_equal(j[0].submitted_at, 0);
    assert_int_equal(j[0].model_count, 3);
    assert_int_equal(j[1].submitted_at, INT64_C(1738403870000));
    assert_int_equal(t.origin, INT64_C(1738368000000));
    assert_int_equal(j[1].exec_ms, 32000);
    assert_int_equal(j[1].images, 4);
    assert_int_equal(j[1].steps, 25);
    assert_true(j[1].exec_has_load);
    assert_int_equal(j[2].exec_ms, 7500);
    assert_int_equal(j[2].model_count, 2); /* a LoRA named twice is one */
    assert_int_equal(j[3].user, j[1].user);
    const uint32_t *m = &t.job_models[j[2].model];
    assert_true(emp_str_eq(t.models[m[0]].name, EMP_STR("M2")));
    assert_int_equal(t.models[m[0]].kind, EMP_TRACE_BASE);
    assert_true(emp_str_eq(t.models[m[1]].name, EMP_STR("L1")));
    assert_int_equal(t.models[m[1]].kind, EMP_TRACE_LORA);
    emp_trace_release(&t);
}

static void reads_rows_of_our_own_format(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf"
        "run_ms , models,tier,service,pool,priority,customer,submitted_at,whatever\r\n"
        "1500,sd:2130000000;a%3Bb:75:lora;llama3:8b:0:llm,premium,comfy,fast,60.5,\"ann, "
        "\"\"inc\"\"\","
        "2026-01-02T03:04:05.250Z,x\r\n"
        "\r\n"
        "2000,,,,,,,2026-01-02 03:04:06,\r\n"
        ",sd:0,,,,,,2026-01-02T04:04:06+01:00,\r\n";
    struct emp_trace t;
    struct emp_error err = {0};
    (void)state;
    if (parse(&t, text, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(t.job_count, 2);
    assert_int_equal(t.skipped[EMP_TRACE_SKIP_NO_EXEC], 1);
    const struct emp_trace_job *j = &t.jobs[0];
    assert_int_equal(j->submitted_at, INT64_C(1767323045250));
    assert_int_equal(j->exec_ms, 1500);
    assert_false(j->exec_has_load);
    assert_int_equal(j->tier, EMP_TIER_PREMIUM);
    assert_true(j->priority == 60.5f);
    assert_true(emp_str_eq(emp_intern_name(&t.users, j->user), EMP_STR("ann, \"inc\"")));
    assert_true(emp_str_eq(emp_intern_name(&t.services, j->service), EMP_STR("comfy")));
    assert_true(emp_str_eq(emp_intern_name(&t.pools, j->pool), EMP_STR("fast")));
    static const struct {
        const char *name;
        enum emp_trace_model_kind kind;
        int64_t bytes;
    } models[] = {{"sd", EMP_TRACE_BASE, 2130000000},
                  {"a;b", EMP_TRACE_LORA, 75},
                  {"llama3:8b", EMP_TRACE_TEXT, 0}};
    assert_int_equal(j->model_count, 3);
    for (int i = 0; i < 3; i++) {
        const struct emp_trace_model *m = &t.models[t.job_models[j->model + i]];
        assert_true(emp_str_eq(m->name, emp_str_z(models[i].name)));
        assert_int_equal(m->kind, models[i].kind);
        assert_int_equal(m->bytes, models[i].bytes);
    }
    assert_int_equal(t.jobs[1].model_count, 0);
    assert_int_equal(t.jobs[1].tier, EMP_TIER_FREE);
    emp_trace_release(&t);
}

static void says_what_is_wrong_and_where(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "dir/t.csv:1: the file is empty"},
        {"a,b\n", "dir/t.csv:1: no trace: the header has neither"},
        {"submitted_at,models,run_ms,models\n", "dir/t.csv:1: column \"models\" stands twice"},
        {"submitted_at,models\n", "dir/t.csv:1: run_ms: the header has no such column"},
        {"created,user,status,base_model,loras\n",
         "dir/t.csv:1: exec_s: the header has no such column"},
        {"user,status,exec_s,base_model,loras\n",
         "dir/t.csv:1: created: the header has no such column"},
        {PLAIN "2026-01-01 00:00:00,a:1,5\n2026-01-01 00:00:00,a:1\n",
         "dir/t.csv:3: 2 columns where the header has 3; is the line cut?"},
        {PLAIN "2026-01-01 00:00:00,a:1,5,6\n", "dir/t.csv:2: 4 columns where the header has 3"},
        {PLAIN "2026-01-01 00:00:00,a:1,5\n\n2025-12-31 23:59:59,a:1,5\n",
         "dir/t.csv:4: submitted_at: 2025-12-31 23:59:59 is before line 2: time goes backwards"},
        {PLAIN "2026-13-01 00:00:00,a:1,5\n",
         "dir/t.csv:2: submitted_at: \"2026-13-01 00:00:00\" is no time"},
        {PLAIN "yesterday,a:1,5\n", "dir/t.csv:2: submitted_at: \"yesterday\" is no time"},
        {PLAIN "2026-01-01 00:00:00,a:1,5s\n", "dir/t.csv:2: run_ms: \"5s\" is no number"},
        {PLAIN "2026-01-01 00:00:00,a:1,0x10\n", "dir/t.csv:2: run_ms: \"0x10\" is no number"},
        {PLAIN "2026-01-01 00:00:00,a:1,-5\n", "dir/t.csv:2: run_ms: -5 is not in [0, 2000000000]"},
        {PLAIN "2026-01-01 00:00:00,a:1,nan\n", "dir/t.csv:2: run_ms: \"nan\" is no number"},
        {PLAIN "2026-01-01 00:00:00,a:1,1e999\n", "dir/t.csv:2: run_ms: \"1e999\" is no number"},
        {PLAIN "2026-01-01 00:00:00,a,5\n", "dir/t.csv:2: models: \"a\" is not NAME:BYTES"},
        {PLAIN "2026-01-01 00:00:00,a:x:1:y:z,5\n",
         "dir/t.csv:2: models: \"a:x:1:y:z\" is not NAME:BYTES"},
        {PLAIN "2026-01-01 00:00:00,a:99999999999999999999,5\n", "dir/t.csv:2: models: \"a:99"},
        {PLAIN "2026-01-01 00:00:00,:5,5\n", "dir/t.csv:2: models: a model without a name"},
        {PLAIN "2026-01-01 00:00:00,\"a\tb:5\",5\n", "dir/t.csv:2: models: a name must be UTF-8"},
        {PLAIN "2026-01-01 00:00:00,\xff:5,5\n", "dir/t.csv:2: models: a name must be UTF-8"},
        {PLAIN "2026-01-01 00:00:00,a\"b:5,5\n", "dir/t.csv:2: a quote inside a field"},
        {PLAIN "2026-01-01 00:00:00,\"a:5\"b,5\n", "dir/t.csv:2: text after a closing quote"},
        {PLAIN "2026-01-01 00:00:00,\"a:5,5\n", "dir/t.csv:2: the file ends inside quotes"},
        {"submitted_at,models,run_ms,tier\n2026-01-01 00:00:00,a:5,5,gold\n",
         "dir/t.csv:2: tier: \"gold\" is none of free, premium, enterprise"},
        {"submitted_at,models,run_ms,priority\n2026-01-01 00:00:00,a:5,5,1e7\n",
         "dir/t.csv:2: priority: 1e7 is not in [-1000000, 1000000]"},
        {GENAI "1,2025-02-01 09:57:50,,G0,T,SUCCEED,3O,1,2,1,1,M1,\n",
         "dir/t.csv:2: exec_s: \"3O\" is no number"},
        {GENAI "1,2025-02-01 09:57:50,,G0,T,SUCCEED,30,1,2,1,1,M1,L1:big\n",
         "dir/t.csv:2: loras: \"big\" is no number (scale of L1)"},
        {GENAI "1,2025-02-01 09:57:50,,G0,T,SUCCEED,30,1,2,70000,1,M1,\n",
         "dir/t.csv:2: images: 70000 is not in"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_trace t;
        struct emp_error err = {0};
        int r = parse(&t, cases[i].text, &err);
        if (r >= 0 || err.code != r || strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("case %zu gave %d \"%s\", not \"%s\"", i, r, err.text, cases[i].says);
        emp_trace_release(&t);
    }
}

/* A line of this many bytes after the header, made of one field. */
static int parse_long(size_t bytes, struct emp_error *err)
{
    struct emp_trace t;
    char *text = malloc(bytes + 100);
    size_t n = (size_t)sprintf(text, "submitted_at,models,run_ms,note\n2026-01-01 00:00:00,,5,");
    size_t head = n - strlen("submitted_at,models,run_ms,note\n");
    memset(text + n, 'x', bytes - head);
    strcpy(text + n + bytes - head, "\n");
    int r = parse(&t, text, err);
    emp_trace_release(&t);
    free(text);
    return r;
}

static void a_line_has_a_longest_length(void **state)
{
    struct emp_error err = {0};
    (void)state;
    assert_int_equal(parse_long(EMP_CSV_LINE_MAX - 100, &err), 0);
    assert_int_equal(parse_long(EMP_CSV_LINE_MAX + 1, &err), EMP_E_LIMIT);
    assert_string_equal(err.text, "dir/t.csv:2: longer than 65536 bytes");
    assert_int_equal(parse_long(10 * EMP_CSV_LINE_MAX, &err), EMP_E_LIMIT);
}

static void lines_are_counted_inside_quotes(void **state)
{
    struct emp_trace t;
    struct emp_error err = {0};
    (void)state;
    assert_int_equal(
        parse(&t, "submitted_at,models,run_ms,note\n2026-01-01 00:00:00,,5,\"a\nb\n\"\n,,x,\n",
              &err),
        EMP_E_MALFORMED);
    assert_string_equal(err.text, "dir/t.csv:5: run_ms: \"x\" is no number");
    emp_trace_release(&t);
}

static void selects_days(void **state)
{
    static const char text[] = PLAIN "2026-01-01 23:59:59,a:1,5\n2026-01-02 00:00:00,a:1,5\n"
                                     "2026-01-03 23:59:59,a:1,5\n2026-01-04 00:00:00,a:1,5\n";
    static const struct {
        const char *from, *to, *says;
        uint32_t counted_from, jobs;
    } cases[] = {
        {NULL, NULL, NULL, 0, 4},
        {"2026-01-02", "2026-01-03", NULL, 1, 3},
        {"2026-01-02", NULL, NULL, 1, 4},
        {NULL, "2026-01-01", NULL, 0, 1},
        {"2026-01-04", "2026-01-04", NULL, 3, 4},
        {"2026-1-4", NULL, "--from \"2026-1-4\" is no date; write 2025-02-11", 0, 0},
        {NULL, "2026-02-30", "--to \"2026-02-30\" is no date", 0, 0},
        {"2026-01-03", "2026-01-02", "--from 2026-01-03 is after --to 2026-01-02", 0, 0},
        {"2027-01-01", NULL,
         "t.csv has no job on those days; it goes from 2026-01-01 to 2026-01-04", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_trace t;
        struct emp_error err = {0};
        assert_int_equal(parse(&t, text, &err), 0);
        int r = emp_trace_select(&t, cases[i].from, cases[i].to, &err);
        if (cases[i].says) {
            if (r >= 0 || strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
                fail_msg("case %zu: %s", i, err.text);
        } else {
            assert_int_equal(r, 0);
            assert_int_equal(t.counted_from, cases[i].counted_from);
            assert_int_equal(t.job_count, cases[i].jobs);
        }
        emp_trace_release(&t);
    }
}

static void times_are_compressed_by_the_speedup(void **state)
{
    struct emp_trace t;
    struct emp_error err = {0};
    (void)state;
    assert_int_equal(parse(&t, PLAIN "2026-01-02 01:00:00,a:1,5\n", &err), 0);
    assert_int_equal(emp_trace_virtual_ms(&t, &t.jobs[0], 1), 3600000);
    assert_int_equal(emp_trace_virtual_ms(&t, &t.jobs[0], 10), 360000);
    emp_trace_release(&t);
}

/* Names of every awkward kind. */
static struct emp_str awkward(struct emp_random *r, char *out)
{
    static const char alphabet[] = "ab:;%,\" 3B\xc3\xa9";
    uint32_t n = 1 + (uint32_t)emp_random_below(r, 12);
    for (uint32_t i = 0; i < n; i++)
        out[i] = alphabet[emp_random_below(r, 10)];
    memcpy(out + n, "\xc3\xa9 ", 3);
    return (struct emp_str){out, n + 3};
}

static void what_is_written_is_read_back(void **state)
{
    enum { ROWS = 500, MODELS = 4 };
    struct emp_random r;
    struct emp_buf text;
    struct emp_trace t;
    struct emp_error err = {0};
    (void)state;
    for (int pass = 0; pass < 2; pass++) { /* the same draws: once to write, once to compare */
        uint32_t row_number = 0;
        emp_random_init(&r, 5);
        if (pass == 0) {
            emp_buf_init(&text, 1 << 22);
            emp_trace_write_header(&text);
        }
        for (int i = 0; i < ROWS; i++) {
            char names[MODELS][20], customer[20];
            struct emp_trace_row_model models[MODELS];
            struct emp_trace_row row = {
                .submitted_at = 1700000000000 + i * 1001,
                .customer = awkward(&r, customer),
                .service = EMP_STR("comfyui"),
                .tier = (enum emp_tier)emp_random_below(&r, EMP_TIER_COUNT),
                .priority = (double)emp_random_below(&r, 1000) / 8,
                .models = models,
                .model_count = (uint32_t)emp_random_below(&r, MODELS + 1),
                .run_ms = (int64_t)emp_random_below(&r, 100000) - 5000,
            };
            for (uint32_t k = 0; k < row.model_count; k++)
                models[k] = (struct emp_trace_row_model){awkward(&r, names[k]),
                                                         k % 2 ? EMP_STR("lora") : EMP_STR(""), 7};
            if (pass == 0) {
                emp_trace_write_row(&text, &row);
                continue;
            }
            if (row.run_ms < 0)
                continue;
            const struct emp_trace_job *j = &t.jobs[row_number++];
            row.customer.len -= 1; /* the blank at its end: fields are trimmed */
            while (row.customer.len && row.customer.ptr[0] == ' ')
                row.customer.ptr++, row.customer.len--;
            assert_int_equal(j->submitted_at, row.submitted_at);
            assert_int_equal(j->exec_ms, row.run_ms);
            assert_int_equal(j->tier, row.tier);
            assert_true(j->priority == (float)row.priority);
            assert_true(emp_str_eq(emp_intern_name(&t.users, j->user), row.customer));
            uint32_t same = 0;
            for (uint32_t k = 0; k < row.model_count; k++)
                for (uint16_t m = 0; m < j->model_count; m++)
                    same += emp_str_eq(t.models[t.job_models[j->model + m]].name, models[k].name);
            assert_int_equal(same, row.model_count);
        }
        if (pass == 0 && parse(&t, text.data, &err) < 0)
            fail_msg("%s\n%s", err.text, text.data);
        if (pass == 1)
            assert_int_equal(t.job_count, row_number);
    }
    emp_trace_release(&t);
    emp_buf_release(&text);
}

/* Against the published trace itself, where it is at hand. */
static void reads_the_published_trace(void **state)
{
    const char *dir = getenv("EMP_TEST_DATA");
    struct emp_trace t;
    struct emp_error err = {0};
    char path[4096];
    (void)state;
    if (!dir) {
        print_message("EMP_TEST_DATA is not set: the published trace is not read\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/genai/genai_joined_dev.csv", dir);
    emp_trace_init(&t);
    if (emp_trace_read(&t, path, &err) < 0)
        fail_msg("%s", err.text);
    uint64_t skipped = 0;
    for (int i = 0; i < EMP_TRACE_SKIP_COUNT; i++)
        skipped += t.skipped[i];
    assert_int_equal(t.job_count + skipped, 55133);
    assert_int_equal(t.skipped[EMP_TRACE_SKIP_PENDING], 9);
    assert_int_equal(t.failed_rows, 233);
    emp_trace_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_rows_of_the_published_format),
        cmocka_unit_test(reads_rows_of_our_own_format),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(a_line_has_a_longest_length),
        cmocka_unit_test(lines_are_counted_inside_quotes),
        cmocka_unit_test(selects_days),
        cmocka_unit_test(times_are_compressed_by_the_speedup),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(reads_the_published_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
