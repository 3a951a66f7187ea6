#include "broker/readers.h"

void emp_readers_init(struct emp_readers *p, struct emp_store *store)
{
    memset(p, 0, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->returned, NULL);
    p->store = store;
}

void emp_readers_release(struct emp_readers *p)
{
    for (uint32_t i = 0; i < p->idle_count; i++)
        emp_store_reader_free(p->idle[i]);
    p->idle_count = p->count = 0;
    pthread_cond_destroy(&p->returned);
    pthread_mutex_destroy(&p->lock);
}

int emp_readers_take(struct emp_readers *p, struct emp_store_reader **ret, struct emp_error *err)
{
    pthread_mutex_lock(&p->lock);
    while (p->idle_count == 0 && p->count == EMP_READERS_MAX)
        pthread_cond_wait(&p->returned, &p->lock);
    if (p->idle_count > 0) {
        *ret = p->idle[--p->idle_count];
        pthread_mutex_unlock(&p->lock);
        return 0;
    }
    p->count++;
    pthread_mutex_unlock(&p->lock);

    int r = emp_store_reader_new(p->store, ret, err);
    if (r < 0) {
        pthread_mutex_lock(&p->lock);
        p->count--;
        pthread_cond_signal(&p->returned);
        pthread_mutex_unlock(&p->lock);
    }
    return r;
}

void emp_readers_give(struct emp_readers *p, struct emp_store_reader *r)
{
    pthread_mutex_lock(&p->lock);
    p->idle[p->idle_count++] = r;
    pthread_cond_signal(&p->returned);
    pthread_mutex_unlock(&p->lock);
}
