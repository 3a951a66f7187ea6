/* What the tests of config/ share: reading a text, and the fault it should give. */
#ifndef EMP_TEST_CONFIG_CHECK_H
#define EMP_TEST_CONFIG_CHECK_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline void read_good(struct emp_config *c, const char *text)
{
    struct emp_error err = {0};
    emp_config_init(c);
    if (emp_config_read_text(c, "emp.yaml", text, strlen(text), &err) < 0)
        fail_msg("refused: %s", err.text);
}

/* The first fault's text must contain `part`. */
static inline void assert_fault(const char *text, const char *part)
{
    struct emp_config c;
    struct emp_error err = {0};
    emp_config_init(&c);
    int r = emp_config_read_text(&c, "emp.yaml", text, strlen(text), &err);
    if (r >= 0)
        fail_msg("accepted: %s", text);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
    assert_int_equal(r, err.code);
    assert_true(c.fault_count > 0);
    emp_config_release(&c);
}

static inline void assert_str(struct emp_str s, const char *expected)
{
    if (!emp_str_eq(s, emp_str_z(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", EMP_STR_FMT(s), expected);
}

#endif
