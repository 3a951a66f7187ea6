#include "broker/progress.h"

void emp_progress_init(struct emp_progress_table *t)
{
    pthread_mutex_init(&t->lock, NULL);
    emp_arena_init(&t->arena, 0);
    emp_map_init(&t->by_job, &t->arena);
    emp_slab_init(&t->slab, &t->arena, sizeof(struct emp_progress));
}

void emp_progress_release(struct emp_progress_table *t)
{
    emp_arena_release(&t->arena);
    pthread_mutex_destroy(&t->lock);
}

void emp_progress_set(struct emp_progress_table *t, emp_job_num job, float percent,
                      struct emp_str text, emp_wall_ms at)
{
    struct emp_progress *p;
    uint32_t number;

    pthread_mutex_lock(&t->lock);
    if (emp_map_get(&t->by_job, job, &number)) {
        p = emp_slab_at(&t->slab, number);
    } else {
        p = emp_slab_new(&t->slab, &number);
        emp_map_put(&t->by_job, job, number);
    }
    p->percent = percent;
    p->at = at;
    p->text_len = text.len < sizeof p->text ? text.len : (uint32_t)sizeof p->text;
    if (p->text_len)
        memcpy(p->text, text.ptr, p->text_len);
    pthread_mutex_unlock(&t->lock);
}

void emp_progress_forget(struct emp_progress_table *t, emp_job_num job)
{
    uint32_t number;

    pthread_mutex_lock(&t->lock);
    if (emp_map_get(&t->by_job, job, &number)) {
        emp_map_del(&t->by_job, job);
        emp_slab_free(&t->slab, number);
    }
    pthread_mutex_unlock(&t->lock);
}

bool emp_progress_get(struct emp_progress_table *t, emp_job_num job, struct emp_progress *ret)
{
    uint32_t number;

    pthread_mutex_lock(&t->lock);
    bool found = emp_map_get(&t->by_job, job, &number);
    if (found)
        *ret = *(struct emp_progress *)emp_slab_at(&t->slab, number);
    pthread_mutex_unlock(&t->lock);
    return found;
}
