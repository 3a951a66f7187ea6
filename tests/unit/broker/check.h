/* cmocka with the headers it wants before it. */
#ifndef EMP_TEST_BROKER_CHECK_H
#define EMP_TEST_BROKER_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
