/* Reading the API's JSON for people: fields by dotted path, times and sizes as words. Texts borrow
 * from the reply. A field that is missing or of another type is "not there", never an error: an
 * older or newer broker stays readable. */
#ifndef EMP_CLI_VIEW_H
#define EMP_CLI_VIEW_H

#include "base/str.h"
#include "base/time.h"
#include "proto/json.h"

#include <stdbool.h>

const struct emp_json *emp_view_get(const struct emp_json *o,
                                    const char *path); /* NULL when not there, or null */
struct emp_str emp_view_text(const struct emp_json *o,
                             const char *path); /* empty when not there; numbers as they stand */
double emp_view_number(const struct emp_json *o, const char *path); /* NaN when not there */
bool emp_view_true(const struct emp_json *o, const char *path);
/* The first element of an array, for walking along ->next; NULL when there is none. */
const struct emp_json *emp_view_first(const struct emp_json *o, const char *path);
uint32_t emp_view_count(const struct emp_json *o, const char *path);
/* Epoch ms of a time: ISO text, or a number of ms. 0 when not there. */
emp_wall_ms emp_view_time(const struct emp_json *o, const char *path);
/* An array of texts, or of objects with a name, as "a, b". */
void emp_view_join(const struct emp_json *o, const char *path, struct emp_buf *out);

/* A value as JSON over several lines, indented by two; made safe for a terminal. */
void emp_view_pretty(const struct emp_json *v, unsigned depth, struct emp_buf *out);

enum { EMP_SPAN_TEXT_MAX = 32 };
/* Seconds as people say them: "85 ms", "1.20 s", "3 min 20 s", "5 h 3 min", "-0.40 s"; "" for NaN.
 */
const char *emp_span_text(double seconds, char out[EMP_SPAN_TEXT_MAX]);
enum { EMP_SIZE_TEXT_MAX = 32 };
/* Bytes, rounded to three digits: "335 MB", "1.5 TB"; "" for NaN. */
const char *emp_size_text(double bytes, char out[EMP_SIZE_TEXT_MAX]);
/* From one time to another (0: not there → ""). */
const char *emp_between_text(emp_wall_ms from, emp_wall_ms to, char out[EMP_SPAN_TEXT_MAX]);
emp_wall_ms emp_wall_clock(void);

/* Percent-encodes everything but unreserved characters: one path segment or query value. */
void emp_url_escape(const char *text, struct emp_buf *out);

#endif
