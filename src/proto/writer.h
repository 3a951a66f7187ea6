/* Writing JSON into a growing buffer: no tree, no allocation beyond the buffer's. All JSON that
 * leaves the project is written here.
 *
 * Every call that adds a value takes the member's name, or NULL inside an array and at the top.
 * Names are literals of ours and are written as they are (emp_write_key takes any). Overflow shows
 * in buf->failed, as with every emp_buf: check once, at the end. Not thread-safe. */
#ifndef EMP_PROTO_WRITER_H
#define EMP_PROTO_WRITER_H

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct emp_writer {
    struct emp_buf *buf;
    uint64_t arrays; /* bit: is the container of this depth an array */
    uint32_t depth;
    bool comma; /* the next value needs one before it */
    bool keyed; /* emp_write_key was called: the next value's name stands already */
};
void emp_writer_init(struct emp_writer *w, struct emp_buf *buf);

void emp_write_object(struct emp_writer *w, const char *name); /* begin; up to 64 deep */
void emp_write_array(struct emp_writer *w, const char *name);
void emp_write_end(struct emp_writer *w); /* of the innermost object or array */
void emp_write_key(struct emp_writer *w,
                   struct emp_str key); /* any text; the value's call then gets name NULL */

/* Invalid UTF-8 and NUL become U+FFFD; control characters, quotes and backslashes are escaped; the
 * rest stays. */
void emp_write_str(struct emp_writer *w, const char *name, struct emp_str s);
/* As much of it as fits into `max` bytes before escaping, never part of a character. */
void emp_write_str_cut(struct emp_writer *w, const char *name, struct emp_str s, uint32_t max);
void emp_write_str_opt(struct emp_writer *w, const char *name,
                       struct emp_str s);                                /* nothing when empty */
void emp_write_z(struct emp_writer *w, const char *name, const char *z); /* NULL: null */
void emp_write_strs(struct emp_writer *w, const char *name, const struct emp_str *v,
                    uint32_t count);
void emp_write_i64(struct emp_writer *w, const char *name, int64_t v);
void emp_write_u64(struct emp_writer *w, const char *name, uint64_t v);
void emp_write_double(struct emp_writer *w, const char *name,
                      double v); /* shortest text that reads back the same; not finite: null */
void emp_write_bool(struct emp_writer *w, const char *name, bool v);
void emp_write_null(struct emp_writer *w, const char *name);
void emp_write_raw(struct emp_writer *w, const char *name,
                   struct emp_str json); /* valid JSON, as it is; empty: null */

void emp_write_ms(struct emp_writer *w, const char *name,
                  int64_t ms); /* milliseconds, as seconds: 1500 is 1.5 */
void emp_write_us(struct emp_writer *w, const char *name,
                  int64_t us); /* microseconds, as seconds */
void emp_write_time(struct emp_writer *w, const char *name, emp_wall_ms t); /* ISO 8601 in UTC */
void emp_write_time_opt(struct emp_writer *w, const char *name, emp_wall_ms t); /* nothing when 0 */

#endif
