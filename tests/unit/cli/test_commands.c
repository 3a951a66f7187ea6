/* The table of commands: every one has what its help shows, every configuration key it names
 * exists, no option hides another. */
#include "check.h"
#include "cli/cli.h"
#include "config/keys.h"

static bool in_table(const struct emp_option *table, const char *name)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0)
            return true;
    return false;
}

static void every_command_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; emp_commands[i]; i++) {
        const struct emp_command *c = emp_commands[i];
        assert_ptr_equal(emp_command_find(c->name), c);
        assert_non_null(c->run);
        assert_true(strlen(c->summary) > 10 && c->summary[strlen(c->summary) - 1] == '.');
        assert_non_null(c->args);
        assert_true(c->args_min <= c->args_max);
        for (const struct emp_option *o = c->options; o && o->name; o++) {
            assert_true(strlen(o->meaning) > 5);
            assert_false(in_table(o + 1, o->name));
            assert_false(c->client && in_table(emp_client_options, o->name));
            if (o->key && !emp_key_find(emp_section(EMP_SECTION_PLAIN), emp_str_z(o->key)))
                fail_msg("--%s of %s: no key %s", o->name, c->name, o->key);
        }
    }
}

static void help_names_every_command_and_option(void **state)
{
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 1 << 20);
    emp_cli_help(NULL, &out);
    for (size_t i = 0; emp_commands[i]; i++)
        assert_contains(out.data, emp_commands[i]->summary);
    emp_buf_clear(&out);
    emp_cli_help(&emp_command_submit, &out);
    assert_contains(out.data, "usage: emp submit SERVICE [OPTION…]");
    assert_contains(out.data, "--payload JSON");
    assert_contains(out.data, "--broker URL");
    assert_contains(out.data, "-h, --help");
    emp_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_complete),
        cmocka_unit_test(help_names_every_command_and_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
