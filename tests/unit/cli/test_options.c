#include "cli/options.h"

#include "check.h"

static const struct emp_option own[] = {
    {"payload", 'p', "JSON", "Payload.", false, NULL},
    {"model", 'm', "NAME", "Model.", true, NULL},
    {"watch", 'w', NULL, "Follow.", false, NULL},
    {"priority", 0, "N", "Priority.", false, NULL},
    {"timeout", 0, "TIME", "Limit.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};
static const struct emp_option common[] = {
    {"help", 'h', NULL, "Help.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

struct fixture {
    struct emp_arena arena;
    struct emp_options o;
    struct emp_error err;
};

static int parse(struct fixture *f, int argc, const char **argv)
{
    memset(f, 0, sizeof *f);
    emp_arena_init(&f->arena, 0);
    f->o.tables[0] = own;
    f->o.tables[1] = common;
    f->o.table_count = 2;
    return emp_options_parse(&f->o, argc, (char **)argv, &f->arena, &f->err);
}
#define PARSE(f, ...)                                                  \
    parse((f), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
          (const char *[]){__VA_ARGS__})

static void takes_values_in_every_form(void **state)
{
    struct fixture f;
    (void)state;
    assert_int_equal(PARSE(&f, "image", "--payload={\"a\":1}", "--model", "x", "-m", "y", "-mz",
                           "--watch", "extra"),
                     0);
    assert_string_equal(emp_options_value(&f.o, "payload"), "{\"a\":1}");
    assert_string_equal(emp_options_nth(&f.o, "model", 0), "x");
    assert_string_equal(emp_options_nth(&f.o, "model", 1), "y");
    assert_string_equal(emp_options_nth(&f.o, "model", 2), "z");
    assert_null(emp_options_nth(&f.o, "model", 3));
    assert_true(emp_options_has(&f.o, "watch"));
    assert_false(emp_options_has(&f.o, "help"));
    assert_int_equal(f.o.arg_count, 2);
    assert_string_equal(f.o.args[1], "extra");
    emp_arena_release(&f.arena);
}

static void values_may_look_like_options(void **state)
{
    struct fixture f;
    (void)state;
    assert_int_equal(
        PARSE(&f, "--priority", "-5", "--payload", "-", "-wm", "--", "--", "--watch", "-"), 0);
    assert_string_equal(emp_options_value(&f.o, "priority"), "-5");
    assert_string_equal(emp_options_value(&f.o, "payload"), "-");
    assert_string_equal(emp_options_value(&f.o, "model"), "--");
    assert_int_equal(f.o.arg_count, 2); /* after "--" all are arguments */
    assert_string_equal(f.o.args[0], "--watch");
    emp_arena_release(&f.arena);
}

static void faults_name_the_nearest(void **state)
{
    struct fixture f;
    (void)state;
    assert_int_equal(PARSE(&f, "--paylod", "x"), EMP_E_INVALID);
    assert_string_equal(f.err.text, "unknown option --paylod; did you mean --payload?");
    emp_arena_release(&f.arena);
    assert_int_equal(PARSE(&f, "--colour=red"), EMP_E_INVALID);
    assert_string_equal(f.err.text, "unknown option --colour; --help lists all");
    emp_arena_release(&f.arena);
    assert_int_equal(PARSE(&f, "-x"), EMP_E_INVALID);
    assert_contains(f.err.text, "unknown option -x");
    emp_arena_release(&f.arena);
    assert_int_equal(PARSE(&f, "--payload"), EMP_E_INVALID);
    assert_string_equal(f.err.text, "--payload wants a value: --payload JSON");
    emp_arena_release(&f.arena);
    assert_int_equal(PARSE(&f, "-p"), EMP_E_INVALID);
    emp_arena_release(&f.arena);
    assert_int_equal(PARSE(&f, "--watch=yes"), EMP_E_INVALID);
    assert_string_equal(f.err.text, "--watch takes no value");
    emp_arena_release(&f.arena);
    assert_int_equal(PARSE(&f, "--priority", "1", "--priority", "2"), EMP_E_INVALID);
    assert_string_equal(f.err.text, "--priority is given twice");
    emp_arena_release(&f.arena);
}

static void reads_numbers_and_durations(void **state)
{
    struct fixture f;
    int64_t n = 7, ms = 7;
    (void)state;
    assert_int_equal(PARSE(&f, "--priority", "12", "--timeout", "1.5s"), 0);
    assert_int_equal(emp_options_int(&f.o, "priority", 0, 100, &n, &f.err), 0);
    assert_int_equal(n, 12);
    assert_int_equal(emp_options_duration(&f.o, "timeout", &ms, &f.err), 0);
    assert_int_equal(ms, 1500);
    assert_int_equal(emp_options_int(&f.o, "priority", 0, 10, &n, &f.err), EMP_E_INVALID);
    assert_string_equal(f.err.text, "--priority 12: it wants a whole number from 0 to 10");
    assert_int_equal(emp_options_int(&f.o, "model", 0, 10, &n, &f.err),
                     0); /* not given: untouched */
    assert_int_equal(n, 12);
    emp_arena_release(&f.arena);
    assert_int_equal(PARSE(&f, "--priority", "1x", "--timeout", "5"), 0);
    assert_int_equal(emp_options_int(&f.o, "priority", 0, 10, &n, &f.err), EMP_E_INVALID);
    assert_int_equal(emp_options_duration(&f.o, "timeout", &ms, &f.err), EMP_E_INVALID);
    emp_arena_release(&f.arena);
}

static void help_is_aligned(void **state)
{
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 4096);
    emp_options_help(own, &out);
    assert_contains(out.data, "  -p, --payload JSON        Payload.\n");
    assert_contains(out.data, "      --priority N          Priority.\n");
    assert_contains(out.data, "Model. May be repeated.\n");
    emp_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_values_in_every_form),
        cmocka_unit_test(values_may_look_like_options),
        cmocka_unit_test(faults_name_the_nearest),
        cmocka_unit_test(reads_numbers_and_durations),
        cmocka_unit_test(help_is_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
