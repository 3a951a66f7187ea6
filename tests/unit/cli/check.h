/* cmocka with what it needs first, and small helpers. */
#ifndef EMP_TEST_CLI_CHECK_H
#define EMP_TEST_CLI_CHECK_H

#include "base/error.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text ? text : "(nothing)");
}

#endif
