/* A few connections for reading the store, lent to whoever needs one for a moment: HTTP threads and
 * libuv's workers. Any thread. */
#ifndef EMP_BROKER_READERS_H
#define EMP_BROKER_READERS_H

#include "base/error.h"
#include "store/store.h"

#include <pthread.h>

enum { EMP_READERS_MAX = 64 };

struct emp_readers {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct emp_store *store;
    struct emp_store_reader *idle[EMP_READERS_MAX];
    uint32_t idle_count, count;
};

void emp_readers_init(struct emp_readers *p, struct emp_store *store);
void emp_readers_release(struct emp_readers *p); /* all must have been given back */

/* Waits when all are lent. 0 or an EMP_E_*. */
int emp_readers_take(struct emp_readers *p, struct emp_store_reader **ret, struct emp_error *err);
void emp_readers_give(struct emp_readers *p, struct emp_store_reader *r);

#endif
