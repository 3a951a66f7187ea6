/* cmocka, with what it wants to be included before it. */
#ifndef EMP_TEST_SIM_CHECK_H
#define EMP_TEST_SIM_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
