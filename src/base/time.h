/* Time as the project counts it: whole milliseconds in two scales that must not mix. Monotonic time
 * orders and measures; wall time is for people and for the database. Brains never read a clock:
 * they are told. Conversions of text (ISO 8601) are pure. Thread-safe. */
#ifndef EMP_BASE_TIME_H
#define EMP_BASE_TIME_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t emp_mono_ms; /* since an arbitrary start, never goes back */
typedef int64_t emp_wall_ms; /* since 1970-01-01T00:00:00Z, may jump */

#define EMP_NEVER INT64_MAX /* a deadline that does not come */

enum { EMP_ISO_MAX = 32 };

/* Both scales of one instant; every event of a brain carries one. */
struct emp_now {
    emp_mono_ms mono;
    emp_wall_ms wall;
};

/* Writes "2026-11-24T04:15:45.123Z" into out[EMP_ISO_MAX]; years 1970–9999, others are clamped. */
void emp_iso_format(emp_wall_ms t, char out[EMP_ISO_MAX]);

/* Parses RFC 3339, years 0000 to 9999, with 'Z' or an offset, fraction optional and cut to
 * milliseconds; a leap second counts as the second after it. 0, or EMP_E_INVALID with *ret
 * untouched. */
int emp_iso_parse(const char *s, size_t len, emp_wall_ms *ret);

#endif
