/* What the store's tests share: a data directory of their own, changes made from numbers, bytes
 * named by tokens. Everything that a job is follows from its number, so any test can tell whether a
 * job came back as it was written. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

// cmocka wants these before itself
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "store/store.h"

/* A fresh directory under $TMPDIR or /tmp; _release removes it with all its content. */
struct dir {
    char path[256];
};
void dir_init(struct dir *d);
void dir_release(struct dir *d);
void dir_path(const struct dir *d, const char *name, char *out, size_t out_bytes);

/* Changes of one batch and what they point to. */
struct changes {
    struct emp_arena arena;
    struct emp_change items[4096];
    size_t count;
};
struct changes *changes_new(void);
void changes_free(struct changes *c);
void changes_clear(struct changes *c);

/* A job as submitted, and the same at a later point of its life: `step` 0 pending, 1 assigned, 2 in
 * progress, 3 completed, 4 failed, 5 cancelled. `first`: with spec and body. */
void job_record(struct emp_arena *a, emp_job_num num, int step, struct emp_job_record *ret);
void job_spec(struct emp_arena *a, emp_job_num num, struct emp_job_spec *ret);
void add_job(struct changes *c, emp_job_num num, int step, bool first);
void add_attempt(struct changes *c, emp_job_num num, uint32_t number);
void add_machine(struct changes *c, unsigned which, uint32_t completed);
void add_model(struct changes *c, unsigned which, int64_t bytes);
void add_learned(struct changes *c, unsigned which, uint32_t length);

/* Tokens: body_token(num), result_token(num). resolve_bytes makes their bytes, of a length that
 * follows from the number (some are long, some do not compress), in the arena given as ctx. */
emp_blob_token body_token(emp_job_num num);
emp_blob_token result_token(emp_job_num num);
int resolve_bytes(void *arena, emp_blob_token token, struct emp_str *ret);

/* Commits and clears; the test fails when the store does. */
void commit(struct emp_store *s, struct changes *c);

/* The job read is the one that (num, step) makes, spec and record. */
void check_record(const struct emp_job_record *got, emp_job_num num, int step);
void check_spec(const struct emp_job_spec *got, emp_job_num num);
void check_bytes(struct emp_str got, emp_blob_token token);

/* A story that can be told in advance. Batch b: new jobs, those of the batch before assigned, those
 * before that completed. story_holds: the store has exactly what batches 0 … n - 1 made; asserts
 * that it is whole, says whether it is that. */
enum { STORY_JOBS = 12 };
void story_batch(struct changes *c, int b);
bool story_holds(struct emp_store *s, int n);

void assert_str(struct emp_str got, struct emp_str wanted);

#endif
