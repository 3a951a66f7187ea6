/* Bytes that the core names by a token (emp_blob_token) and never looks into: submissions as
 * received, results. Counted references; any thread. A token is the blob's address: it is valid as
 * long as somebody holds a reference. */
#ifndef EMP_BROKER_BLOB_H
#define EMP_BROKER_BLOB_H

#include "base/str.h"
#include "domain/change.h"

#include <stdatomic.h>
#include <stdint.h>

struct emp_blob {
    atomic_uint refs;
    uint32_t len;
    uint32_t payload_at,
        payload_len; /* of a submission: where its payload stands; len 0: it has none */
    char bytes[];    /* NUL-terminated */
};

/* A copy of `text` with one reference; NULL when there is no memory. */
struct emp_blob *emp_blob_new(struct emp_str text);
/* Room for `len` bytes, to be filled by the caller; NULL when there is no memory. */
struct emp_blob *emp_blob_reserve(uint32_t len);
struct emp_blob *emp_blob_ref(struct emp_blob *b);
void emp_blob_unref(struct emp_blob *b); /* NULL is allowed */

static inline emp_blob_token emp_blob_token_of(const struct emp_blob *b)
{
    return (emp_blob_token)(uintptr_t)b;
}
static inline struct emp_blob *emp_blob_of(emp_blob_token t)
{
    return (struct emp_blob *)(uintptr_t)t;
}
static inline struct emp_str emp_blob_text(const struct emp_blob *b)
{
    return (struct emp_str){b->bytes, b->len};
}
static inline struct emp_str emp_blob_payload(const struct emp_blob *b)
{
    return (struct emp_str){b->bytes + b->payload_at, b->payload_len};
}

#endif
