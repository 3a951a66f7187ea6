#include "cli/sse.h"

#include "check.h"

struct seen {
    char text[4096];
    int count, stop_after;
};

static bool on_event(void *arg, const char *name, const char *data)
{
    struct seen *s = arg;
    size_t at = strlen(s->text);
    snprintf(s->text + at, sizeof s->text - at, "[%s|%s]", name, data);
    return ++s->count != s->stop_after;
}

/* The same bytes in portions of every size give the same events. */
static void assert_events(const char *stream, const char *expected)
{
    size_t len = strlen(stream);
    for (size_t portion = 1; portion <= len; portion++) {
        struct emp_sse s;
        struct seen seen = {0};
        emp_sse_init(&s, on_event, &seen);
        for (size_t at = 0; at < len; at += portion)
            assert_int_equal(emp_sse_feed(&s, stream + at, at + portion < len ? portion : len - at),
                             0);
        assert_string_equal(seen.text, expected);
        emp_sse_release(&s);
    }
}

static void events_come_out_whole(void **state)
{
    (void)state;
    assert_events("data: a\n\n", "[message|a]");
    assert_events("event: state\ndata: {\"a\":1}\n\nevent: end\ndata: x\n\n",
                  "[state|{\"a\":1}][end|x]");
    assert_events("data: one\ndata: two\n\n", "[message|one\ntwo]");
    assert_events("data:no space\ndata:  two\n\n", "[message|no space\n two]");
    assert_events("event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\r", "[a|1][b|2]");
}

static void the_rest_is_passed_over(void **state)
{
    (void)state;
    assert_events(": comment\n\n\n\n", "");
    assert_events("id: 7\nretry: 5\nnonsense\n:\ndata: a\n\n", "[message|a]");
    assert_events("event: lost\n\ndata: a\n\n",
                  "[message|a]"); /* no data: no event, and its name is forgotten */
    assert_events("data: never finished\n", "");
}

static void the_handler_can_end_it(void **state)
{
    struct emp_sse s;
    struct seen seen = {.stop_after = 1};
    static const char stream[] = "data: 1\n\ndata: 2\n\n";
    (void)state;
    emp_sse_init(&s, on_event, &seen);
    assert_int_equal(emp_sse_feed(&s, stream, sizeof stream - 1), 0);
    assert_true(s.ended);
    assert_string_equal(seen.text, "[message|1]");
    emp_sse_release(&s);
}

static void a_line_without_end_is_an_error(void **state)
{
    struct emp_sse s;
    struct seen seen = {0};
    static char block[1 << 20];
    int r = 0;
    (void)state;
    memset(block, 'x', sizeof block);
    emp_sse_init(&s, on_event, &seen);
    for (int i = 0; i < 64 && r == 0; i++)
        r = emp_sse_feed(&s, block, sizeof block);
    assert_int_equal(r, EMP_E_TOO_LARGE);
    emp_sse_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_out_whole),
        cmocka_unit_test(the_rest_is_passed_over),
        cmocka_unit_test(the_handler_can_end_it),
        cmocka_unit_test(a_line_without_end_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
