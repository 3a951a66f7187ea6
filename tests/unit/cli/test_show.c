/* What people see: spans, sizes, safe text, tables, a job. */
#include "check.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/view.h"

#include <math.h>

static void spans_read_well(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0 s"},           {0.0004, "0 ms"},  {0.085, "85 ms"},
                 {0.9996, "1.00 s"},   {1.204, "1.20 s"}, {12.34, "12.3 s"},
                 {200, "3 min 20 s"},  {-0.4, "-400 ms"}, {10800, "3 h 0 min"},
                 {864000, "10.0 days"}};
    char out[EMP_SPAN_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(emp_span_text(cases[i].seconds, out), cases[i].text);
    assert_string_equal(emp_span_text(NAN, out), "");
    assert_string_equal(emp_between_text(0, 5, out), "");
    assert_string_equal(emp_between_text(1000, 3500, out), "2.50 s");
}

static void sizes_read_well(void **state)
{
    char out[EMP_SIZE_TEXT_MAX];
    (void)state;
    assert_string_equal(emp_size_text(0, out), "0 B");
    assert_string_equal(emp_size_text(999, out), "999 B");
    assert_string_equal(emp_size_text(335304388, out), "335 MB");
    assert_string_equal(emp_size_text(1.5e12, out), "1.5 TB");
    assert_string_equal(emp_size_text(999999, out), "1.0 MB");
    assert_string_equal(emp_size_text(NAN, out), "");
}

static const char *safe(const char *text, unsigned columns)
{
    static char out[256];
    struct emp_buf b;
    emp_buf_init(&b, 4096);
    emp_text_safe(emp_str_z(text), columns, &b);
    snprintf(out, sizeof out, "%s", b.data ? b.data : "");
    emp_buf_release(&b);
    return out;
}

static void no_control_character_reaches_a_terminal(void **state)
{
    (void)state;
    assert_string_equal(safe("a\x1b[31mb\n\tc\x7f", 0), "a [31mb  c ");
    assert_string_equal(safe("x\xc2\x9by", 0), "x y"); /* C1: CSI */
    assert_string_equal(safe("x\xff\xc3(y", 0), "x?\?(y");
    assert_string_equal(safe("größer", 4), "grö…");
    assert_string_equal(safe("größe", 5), "größe");
}

static void tables_are_aligned(void **state)
{
    static const struct emp_column columns[] = {
        {"NAME", false}, {"EMPTY", false}, {"N", true}, {"LAST", false}, {NULL, false}};
    struct emp_arena arena;
    struct emp_table t;
    struct emp_buf out;
    (void)state;
    emp_arena_init(&arena, 0);
    emp_buf_init(&out, 4096);
    emp_table_init(&t, &arena, columns);
    const char *cells[] = {"é", "", "5", "x", "longer", "", "1234", "y"};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        emp_table_addz(&t, cells[i]);
    emp_table_write(&t, false, &out);
    assert_string_equal(out.data, "NAME       N  LAST\n"
                                  "é          5  x\n"
                                  "longer  1234  y\n");
    emp_buf_clear(&out);
    emp_table_write(&t, true, &out);
    assert_contains(out.data, "\x1b[2mNAME\x1b[0m");
    emp_buf_release(&out);
    emp_arena_release(&arena);
}

static void bars_fill(void **state)
{
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 4096);
    emp_progress_bar(0.5, 4, &out);
    assert_string_equal(out.data, "██  ");
    emp_buf_clear(&out);
    emp_progress_bar(7, 2, &out);
    assert_string_equal(out.data, "██");
    emp_buf_clear(&out);
    emp_progress_bar(NAN, 2, &out);
    assert_string_equal(out.data, "  ");
    emp_buf_clear(&out);
    emp_progress_bar(0.3125, 2, &out);
    assert_string_equal(out.data, "▋ ");
    emp_buf_release(&out);
}

static const char job_text[] =
    "{\"id\":\"j-1\",\"status\":\"failed\",\"service_required\":\"ocr\",\"priority\":50,\"models\":"
    "[\"eng\",\"deu\"],"
    "\"error\":\"bad\\u001b[2J "
    "news\",\"attempts\":[{\"attempt\":1,\"machine_id\":\"m1\",\"pool\":\"heavy\",\"outcome\":"
    "\"failed\","
    "\"started_at\":\"2026-01-01T00:00:00.000Z\",\"ended_at\":\"2026-01-01T00:00:01.500Z\","
    "\"counted\":true,\"error\":null}],"
    "\"result\":{\"seed\":18446744073709551615,\"list\":[1,{\"a\":\"b\"}],\"none\":{}}}";

static void a_job_shows_everything(void **state)
{
    struct emp_arena arena;
    struct emp_buf out;
    struct emp_json *job;
    (void)state;
    emp_arena_init(&arena, 0);
    emp_buf_init(&out, 65536);
    assert_int_equal(emp_json_parse(&arena, job_text, sizeof job_text - 1, NULL, &job, NULL), 0);
    emp_show_job(job, &arena, false, &out);
    assert_contains(out.data, "job         j-1\nstatus      failed\n");
    assert_contains(out.data, "models      eng, deu\n");
    assert_contains(out.data, "error       bad [2J news\n");
    assert_contains(out.data, "ATTEMPT  MACHINE  POOL   OUTCOME     RAN  COUNTED\n");
    assert_contains(out.data, "      1  m1       heavy  failed   1.50 s  yes\n");
    assert_contains(out.data, "{\n  \"seed\": 18446744073709551615,\n  \"list\": [\n    1,\n    "
                              "{\n      \"a\": \"b\"\n    }\n  ],\n  \"none\": {}\n}\n");
    assert_null(strchr(out.data, '\x1b'));
    emp_buf_release(&out);
    emp_arena_release(&arena);
}

static void fields_that_are_not_there_are_no_errors(void **state)
{
    struct emp_arena arena;
    struct emp_json *o;
    static const char text[] =
        "{\"a\":{\"b\":5,\"n\":null},\"t\":\"x\",\"list\":[\"p\",{\"name\":\"q\"},7]}";
    struct emp_buf out;
    (void)state;
    emp_arena_init(&arena, 0);
    emp_buf_init(&out, 4096);
    assert_int_equal(emp_json_parse(&arena, text, sizeof text - 1, NULL, &o, NULL), 0);
    assert_true(emp_view_number(o, "a.b") == 5);
    assert_true(isnan(emp_view_number(o, "t")));
    assert_null(emp_view_get(o, "a.n"));
    assert_null(emp_view_get(o, "t.u"));
    assert_null(emp_view_get(NULL, "a"));
    assert_int_equal(emp_view_text(o, "a").len, 0);
    assert_int_equal(emp_view_count(o, "list"), 3);
    emp_view_join(o, "list", &out);
    assert_string_equal(out.data, "p, q, 7");
    emp_buf_clear(&out);
    emp_url_escape("a/b c?ü", &out);
    assert_string_equal(out.data, "a%2Fb%20c%3F%C3%BC");
    emp_buf_release(&out);
    emp_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_read_well),
        cmocka_unit_test(sizes_read_well),
        cmocka_unit_test(no_control_character_reaches_a_terminal),
        cmocka_unit_test(tables_are_aligned),
        cmocka_unit_test(bars_fill),
        cmocka_unit_test(a_job_shows_everything),
        cmocka_unit_test(fields_that_are_not_there_are_no_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
