/* A store that does what a test says, in place of the real one: the linker puts emp_store_commit
 * and emp_store_retain here (--wrap). So disks fail exactly when and as often as wanted, and a
 * commit can be held until the test lets it go. One writer, one test at a time. */
#ifndef EMP_TEST_BROKER_STORE_H
#define EMP_TEST_BROKER_STORE_H

#include "check.h"

#include "store/store.h"

#include <stdbool.h>

enum { STORE_LOG_MAX = 65536 };

void store_init(void);
void store_release(void);

void store_fail(int code, uint32_t times); /* the next `times` commits fail with it */
void store_hold(void);                     /* commits wait inside from now on … */
void store_let(uint32_t commits);          /* … until so many may go on */
void store_open_gate(void);                /* nothing waits any more */

uint32_t store_tries(void);   /* commits begun */
uint32_t store_commits(void); /* that succeeded */
/* Job numbers of all changes made durable, in order. */
uint32_t store_durable(const emp_job_num **ret);
/* The bytes that the last change's token stood for. */
const char *store_last_body(void);
void store_wait_tries(uint32_t n); /* until so many commits have begun */

/* What emp_store_retain returns next, with one number each, before it returns 0 and none. */
void store_retain(int code, uint32_t times);

#endif
