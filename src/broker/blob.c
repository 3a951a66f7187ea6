#include "broker/blob.h"

#include <stdlib.h>

struct emp_blob *emp_blob_reserve(uint32_t len)
{
    struct emp_blob *b = malloc(sizeof *b + (size_t)len + 1);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->len = len;
    b->payload_at = 0;
    b->payload_len = 0;
    b->bytes[len] = '\0';
    return b;
}

struct emp_blob *emp_blob_new(struct emp_str text)
{
    struct emp_blob *b = emp_blob_reserve(text.len);
    if (b && text.len)
        memcpy(b->bytes, text.ptr, text.len);
    return b;
}

struct emp_blob *emp_blob_ref(struct emp_blob *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void emp_blob_unref(struct emp_blob *b)
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}
