/* The log: one line per event that nobody can forge, as text or JSON. */
#include "check.h"

#define EMP_LOG_AREA "test"
#include "os/log.h"

#include <errno.h>
#include <pthread.h>

static int reading = -1;

static int begin(void **state)
{
    int fds[2];
    (void)state;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    reading = fds[0];
    emp_log_setup(EMP_LOG_DEBUG, false);
    emp_log_to_fd(fds[1]);
    return 0;
}

/* All that was logged since, without its time (24 bytes and a space). */
static const char *logged(void)
{
    static char text[65536];
    ssize_t n = read(reading, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 25 ? text + 25 : text;
}

static void a_line_has_time_level_area_text(void **state)
{
    char text[256];
    (void)state;
    emp_log(EMP_LOG_WARN, "broker", "job refused job=%d", 17);
    ssize_t n = read(reading, text, sizeof text - 1);
    assert_true(n > 25);
    text[n] = '\0';
    assert_true(text[4] == '-' && text[10] == 'T' && text[23] == 'Z' && text[24] == ' ');
    assert_string_equal(text + 25, "warn  broker: job refused job=17\n");
    emp_log_error("short");
    assert_string_equal(logged(), "error test: short\n");
}

static void what_is_above_the_level_is_not_written(void **state)
{
    (void)state;
    emp_log_setup(EMP_LOG_INFO, false);
    assert_true(emp_log_on(EMP_LOG_INFO));
    assert_false(emp_log_on(EMP_LOG_DEBUG));
    emp_log_debug("quiet");
    assert_string_equal(logged(), "");
    emp_log_info("loud");
    assert_string_equal(logged(), "info  test: loud\n");
}

static void no_input_can_forge_a_line(void **state)
{
    (void)state;
    emp_log_info("%s", "a\nb\r\x1b[2J\x7f\xff\xc2\x9b Größe 日本");
    assert_string_equal(logged(),
                        "info  test: a\\x0ab\\x0d\\x1b[2J\\x7f\\xff\\xc2\\x9b Größe 日本\n");
}

static void json_is_json(void **state)
{
    (void)state;
    emp_log_setup(EMP_LOG_INFO, true);
    char text[512];
    emp_log_info("say \"hi\" \\ \n\xff");
    ssize_t n = read(reading, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, "{\"time\":\"", 9);
    assert_string_equal(text + 9 + 24, "\",\"level\":\"info\",\"area\":\"test\",\"text\":\"say "
                                       "\\\"hi\\\" \\\\ \\u000a\\u00ff\"}\n");
}

static void a_long_line_is_cut_and_stays_a_line(void **state)
{
    static char big[3 * EMP_LOG_LINE_MAX], text[2 * EMP_LOG_LINE_MAX];
    (void)state;
    for (int json = 0; json < 2; json++)
        for (size_t shift = 0; shift < 4; shift++) {
            emp_log_setup(EMP_LOG_INFO, json);
            memset(big, 'x', shift);
            for (size_t i = shift; i + 3 < sizeof big; i += 3)
                memcpy(big + i, "日", 4);
            emp_log_info("%s", big);
            ssize_t n = read(reading, text, sizeof text);
            assert_true(n > EMP_LOG_LINE_MAX / 2 && n <= EMP_LOG_LINE_MAX);
            assert_int_equal(text[n - 1], '\n');
            assert_null(memchr(text, '\n', (size_t)n - 1));
            if (json)
                assert_memory_equal(text + n - 3, "\"}\n", 3);
        }
    memset(big, '\n', sizeof big - 1); // each becomes four, or six
    emp_log(EMP_LOG_INFO, big, "%s", big);
    assert_true(read(reading, text, sizeof text) <= EMP_LOG_LINE_MAX);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = ENOSPC;
    emp_log_to_fd(-1);
    emp_log_info("into the void");
    assert_int_equal(errno, ENOSPC);
}

static void a_failure_tells_field_and_code(void **state)
{
    struct emp_error err;
    (void)state;
    emp_fail(&err, EMP_E_NOT_FOUND, "path", "there is no %s", "x");
    emp_log_failure(EMP_LOG_ERROR, "fetch", "cannot begin", &err);
    assert_string_equal(logged(),
                        "error fetch: cannot begin: there is no x field=path code=not_found\n");
    emp_fail(&err, EMP_E_IO, NULL, "broken");
    emp_log_failure(EMP_LOG_WARN, "fetch", "cannot go on", &err);
    assert_string_equal(logged(), "warn  fetch: cannot go on: broken code=io\n");
}

static void levels_have_names(void **state)
{
    enum emp_log_level level = EMP_LOG_INFO;
    (void)state;
    for (int i = EMP_LOG_ERROR; i <= EMP_LOG_DEBUG; i++) {
        assert_int_equal(emp_log_level_parse(emp_log_level_name((enum emp_log_level)i), &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(emp_log_level_parse("loud", &level), EMP_E_INVALID);
    assert_string_equal(emp_log_level_name((enum emp_log_level)9), "?");
    emp_log((enum emp_log_level)9, "test", "of no level");
    assert_string_equal(logged(), "");
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 100; i++)
        emp_log_info("%s", (const char *)arg);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t a, b;
    char line[4096];
    int lines = 0;
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    emp_log_to_fd(fileno(f));
    assert_int_equal(fcntl(fileno(f), F_SETFL, O_APPEND), 0);
    char as[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    char bs[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    pthread_create(&a, NULL, write_lines, as);
    pthread_create(&b, NULL, write_lines, bs);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        const char *text = strstr(line, "test: ");
        assert_non_null(text);
        assert_int_equal(strspn(text + 6, (char[]){text[6], '\0'}), 48);
        lines++;
    }
    assert_int_equal(lines, 200);
    emp_log_to_fd(STDERR_FILENO);
    fclose(f);
}

static int end(void **state)
{
    (void)state;
    emp_log_to_fd(STDERR_FILENO);
    close(reading);
    return 0;
}

#define log_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(a_line_has_time_level_area_text),
        log_test(what_is_above_the_level_is_not_written),
        log_test(no_input_can_forge_a_line),
        log_test(json_is_json),
        log_test(a_long_line_is_cut_and_stays_a_line),
        log_test(errno_is_left_alone),
        log_test(a_failure_tells_field_and_code),
        log_test(levels_have_names),
        log_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
