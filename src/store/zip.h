/* Payloads and results at rest: zstd where it is worth it, else as they are. Thread: one `struct
 * emp_zip` belongs to one thread. */
#ifndef EMP_STORE_ZIP_H
#define EMP_STORE_ZIP_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

/* How bytes stand in the store; durable numbers. */
enum emp_zip_codec { EMP_ZIP_NONE = 0, EMP_ZIP_ZSTD = 1 };

struct emp_zip;                    /* contexts kept for reuse */
struct emp_zip *emp_zip_new(void); /* NULL: no memory */
void emp_zip_free(struct emp_zip *z);

/* Bytes to keep and their codec. Tries from 1 KiB upward and keeps the short form when it saves an
 * eighth. The result is `in` itself or lives in the arena. */
enum emp_zip_codec emp_zip_pack(struct emp_zip *z, struct emp_str in, struct emp_arena *a,
                                struct emp_str *ret);

/* The bytes again, a NUL-terminated copy in the arena. EMP_E_INTERNAL: damaged, an unknown codec,
 * or more than bytes_max. */
int emp_zip_unpack(struct emp_zip *z, int codec, struct emp_str in, size_t bytes_max,
                   struct emp_arena *a, struct emp_str *ret);

#endif
