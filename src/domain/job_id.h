/* Job ids as the outside sees them: a UUID (version 8, RFC 9562) that carries the job's number and
 * a keyed tag (SipHash-2-4 of the number under the data directory's secret). So an id is found
 * without an index, and the next one cannot be guessed from it. Pure. */
#ifndef EMP_DOMAIN_JOB_ID_H
#define EMP_DOMAIN_JOB_ID_H

#include "domain/job.h"

enum { EMP_JOB_ID_TEXT = 37 }; /* with the NUL */

struct emp_job_secret {
    uint64_t k[2];
};
void emp_job_id_format(const struct emp_job_secret *s, emp_job_num num, char out[EMP_JOB_ID_TEXT]);
/* 0 and *ret, or EMP_E_NOT_FOUND: not an id that this secret made. Upper and lower case hex. num <
 * 2^48. */
int emp_job_id_parse(const struct emp_job_secret *s, struct emp_str text, emp_job_num *ret);

/* SipHash-2-4 of any bytes under the secret: what the tag is made with, for whoever needs a keyed
 * hash (and for its known vectors). */
uint64_t emp_siphash(const struct emp_job_secret *s, const void *data, size_t len);

#endif
