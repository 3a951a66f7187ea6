/* Numbers with units, as configuration and command lines write them, and back.
 *
 *   duration   500ms 10s 5m 24h 7d   whole milliseconds; a number without unit is refused, but 0
 *   bytes      20gb 512mb 64kb 4096  decimal (1000); kib mib gib tib: binary; no unit: bytes
 *   rate       25mb/s 10mib/s        bytes per second; the "/s" may be left out
 *
 * Upper and lower case are the same, one space before the unit is allowed, at most nine decimals,
 * never a sign. What is written by a _format function is read back as exactly the same number.
 * Pure, thread-safe, allocates nothing. */
#ifndef EMP_CONFIG_UNITS_H
#define EMP_CONFIG_UNITS_H

#include "base/str.h"

#include <stdint.h>

enum { EMP_UNIT_TEXT_MAX = 32 }; /* bytes of a formatted value, with its NUL */

/* 0 and *ret, or EMP_E_INVALID (not of this form) or EMP_E_LIMIT (beyond int64, or not a whole
 * number of ms or bytes); *ret is untouched then. */
int emp_duration_parse(struct emp_str text, int64_t *ret_ms);
int emp_bytes_parse(struct emp_str text, int64_t *ret_bytes);
int emp_rate_parse(struct emp_str text, int64_t *ret_bytes_per_s);

/* An exact form in the largest unit that has one with at most three decimals; values below 0 count
 * as 0. */
void emp_duration_format(int64_t ms, char out[EMP_UNIT_TEXT_MAX]);
void emp_bytes_format(int64_t bytes, char out[EMP_UNIT_TEXT_MAX]);
void emp_rate_format(int64_t bytes_per_s, char out[EMP_UNIT_TEXT_MAX]);

#endif
