/* What reading single jobs, lists and restoring share, inside the SQLite back end. */
#ifndef EMP_STORE_SQLITE_READ_H
#define EMP_STORE_SQLITE_READ_H

#include "store/sqlite.h"

/* Record and spec of the row `st` stands on. With `copy`, in the arena; else their strings live as
 * long as the row. */
int emp_sqlite_decode(sqlite3_stmt *st, struct emp_arena *a, bool copy,
                      struct emp_job_record *ret_record, struct emp_job_spec *ret_spec,
                      struct emp_error *err);

/* Record and spec of one job: 0, EMP_E_NOT_FOUND, … */
int emp_sqlite_job_row(struct emp_sqlite_reader *r, emp_job_num num, struct emp_arena *a,
                       struct emp_store_job *ret, struct emp_error *err);

/* Adds what is wanted beside record and spec. */
int emp_sqlite_add(struct emp_sqlite_reader *r, unsigned want, struct emp_arena *a,
                   struct emp_store_job *job, struct emp_error *err);

/* Body (EMP_SQL_BODY) or result (EMP_SQL_RESULT): 0, EMP_E_NOT_FOUND, … */
int emp_sqlite_blob_of(struct emp_sqlite_reader *r, enum emp_sqlite_statement which,
                       emp_job_num num, struct emp_arena *a, struct emp_str *ret,
                       struct emp_error *err);

/* Between these, all that is read is of one moment. */
int emp_sqlite_snapshot(struct emp_sqlite_reader *r, struct emp_error *err);
void emp_sqlite_snapshot_end(struct emp_sqlite_reader *r);

#endif
