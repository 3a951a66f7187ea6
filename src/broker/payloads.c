/* A ring in order of arrival with a map from job to place. Dropping from the middle leaves a hole,
 * which goes when the head reaches it or when the ring is full and built anew without its holes:
 * everything is O(1), amortised, and the ring is never more than four times what it holds. */
#include "broker/payloads.h"

#include <stdlib.h>

enum { EMP_PAYLOADS_OVERHEAD = 96 }; /* bytes an entry costs beside its text: malloc, ring, map */

void emp_payloads_init(struct emp_payloads *p, size_t bytes_max)
{
    memset(p, 0, sizeof *p);
    emp_arena_init(&p->arena, 0);
    emp_map_init(&p->by_job, &p->arena);
    p->bytes_max = bytes_max;
}

void emp_payloads_release(struct emp_payloads *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        emp_blob_unref(p->ring[(p->head + i) & (p->cap - 1)].blob);
    free(p->ring);
    emp_arena_release(&p->arena);
    memset(p, 0, sizeof *p);
}

static void emp_payloads_clear_at(struct emp_payloads *p, uint32_t at)
{
    struct emp_payloads_entry *e = &p->ring[at];
    p->bytes -= e->blob->len + EMP_PAYLOADS_OVERHEAD;
    emp_map_del(&p->by_job, e->job);
    emp_blob_unref(e->blob);
    e->blob = NULL;
}

static void emp_payloads_pop(struct emp_payloads *p)
{
    if (p->ring[p->head].blob)
        emp_payloads_clear_at(p, p->head);
    p->head = (p->head + 1) & (p->cap - 1);
    p->count--;
}

/* A new ring for the live entries alone, at most half full. */
static bool emp_payloads_rebuild(struct emp_payloads *p)
{
    uint32_t cap = 64, count = 0;
    while (cap / 2 < p->by_job.count + 1)
        cap *= 2;
    struct emp_payloads_entry *ring = calloc(cap, sizeof *ring);
    if (!ring)
        return false;

    for (uint32_t i = 0; i < p->count; i++) {
        struct emp_payloads_entry *e = &p->ring[(p->head + i) & (p->cap - 1)];
        if (!e->blob)
            continue;
        emp_map_put(&p->by_job, e->job, count);
        ring[count++] = *e;
    }
    free(p->ring);
    p->ring = ring;
    p->head = 0;
    p->count = count;
    p->cap = cap;
    return true;
}

void emp_payloads_put(struct emp_payloads *p, emp_job_num job, struct emp_blob *blob)
{
    size_t cost = (size_t)blob->len + EMP_PAYLOADS_OVERHEAD;

    if (cost > p->bytes_max / 4)
        return;
    emp_payloads_drop(p, job);
    while (p->count > 0 && (p->bytes + cost > p->bytes_max || !p->ring[p->head].blob))
        emp_payloads_pop(p);
    if (p->count == p->cap && !emp_payloads_rebuild(p))
        return;

    uint32_t at = (p->head + p->count++) & (p->cap - 1);
    p->ring[at] = (struct emp_payloads_entry){.job = job, .blob = emp_blob_ref(blob)};
    emp_map_put(&p->by_job, job, at);
    p->bytes += cost;
}

struct emp_blob *emp_payloads_get(struct emp_payloads *p, emp_job_num job)
{
    uint32_t at;

    if (!emp_map_get(&p->by_job, job, &at)) {
        p->misses++;
        return NULL;
    }
    p->hits++;
    return emp_blob_ref(p->ring[at].blob);
}

void emp_payloads_drop(struct emp_payloads *p, emp_job_num job)
{
    uint32_t at;

    if (emp_map_get(&p->by_job, job, &at))
        emp_payloads_clear_at(p, at);
}
