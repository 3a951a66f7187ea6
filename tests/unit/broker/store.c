#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int code;
    uint32_t failures;
    bool gate;
    uint32_t may_pass;
    uint32_t tries, commits;
    emp_job_num durable[STORE_LOG_MAX];
    uint32_t durable_count;
    char body[256];
    int retain_code;
    uint32_t retain_times;
    emp_job_num retain_next;
} store;

void store_init(void)
{
    memset(&store, 0, sizeof store);
    pthread_mutex_init(&store.lock, NULL);
    pthread_cond_init(&store.changed, NULL);
}

void store_release(void)
{
    pthread_cond_destroy(&store.changed);
    pthread_mutex_destroy(&store.lock);
}

#define LOCKED(...)                             \
    do {                                        \
        pthread_mutex_lock(&store.lock);        \
        __VA_ARGS__;                            \
        pthread_cond_broadcast(&store.changed); \
        pthread_mutex_unlock(&store.lock);      \
    } while (0)

void store_fail(int code, uint32_t times)
{
    LOCKED(store.code = code; store.failures = times);
}

void store_hold(void)
{
    LOCKED(store.gate = true; store.may_pass = 0);
}

void store_let(uint32_t commits)
{
    LOCKED(store.may_pass += commits);
}

void store_open_gate(void)
{
    LOCKED(store.gate = false);
}

uint32_t store_tries(void)
{
    uint32_t n;
    LOCKED(n = store.tries);
    return n;
}

uint32_t store_commits(void)
{
    uint32_t n;
    LOCKED(n = store.commits);
    return n;
}

uint32_t store_durable(const emp_job_num **ret)
{
    uint32_t n;
    LOCKED(n = store.durable_count);
    *ret = store.durable;
    return n;
}

const char *store_last_body(void)
{
    return store.body;
}

void store_wait_tries(uint32_t n)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&store.lock);
    while (store.tries < n)
        if (pthread_cond_timedwait(&store.changed, &store.lock, &until) == ETIMEDOUT)
            fail_msg("only %u commits of %u have begun", store.tries, n);
    pthread_mutex_unlock(&store.lock);
}

void store_retain(int code, uint32_t times)
{
    LOCKED(store.retain_code = code; store.retain_times = times);
}

/* ------------------------------------------------------------------ in place of the real ones */

static void keep(const struct emp_change *c, emp_store_resolve resolve, void *ctx)
{
    struct emp_str body = {0};

    if (c->kind != EMP_CHANGE_JOB)
        return;
    if (store.durable_count == STORE_LOG_MAX)
        abort();
    store.durable[store.durable_count++] = c->job.record.num;
    if (c->job.body && resolve(ctx, c->job.body, &body) == 0)
        snprintf(store.body, sizeof store.body, "%.*s", EMP_STR_FMT(body));
}

int __wrap_emp_store_commit(struct emp_store *s, const struct emp_change *changes, size_t count,
                            emp_store_resolve resolve, void *ctx, struct emp_error *err);
int __wrap_emp_store_commit(struct emp_store *s, const struct emp_change *changes, size_t count,
                            emp_store_resolve resolve, void *ctx, struct emp_error *err)
{
    int r = 0;

    (void)s;
    pthread_mutex_lock(&store.lock);
    store.tries++;
    pthread_cond_broadcast(&store.changed);
    while (store.gate && store.may_pass == 0)
        pthread_cond_wait(&store.changed, &store.lock);
    if (store.gate)
        store.may_pass--;
    if (store.failures > 0) {
        store.failures--;
        r = emp_fail(err, store.code, NULL, "the test says so");
    } else {
        store.commits++;
        for (size_t i = 0; i < count; i++)
            keep(&changes[i], resolve, ctx);
    }
    pthread_mutex_unlock(&store.lock);
    return r;
}

int __wrap_emp_store_retain(struct emp_store *s, emp_wall_ms finished_before, uint32_t look_max,
                            emp_job_num *nums, uint32_t nums_cap, uint32_t *ret_count,
                            struct emp_error *err);
int __wrap_emp_store_retain(struct emp_store *s, emp_wall_ms finished_before, uint32_t look_max,
                            emp_job_num *nums, uint32_t nums_cap, uint32_t *ret_count,
                            struct emp_error *err)
{
    int r = 0;

    (void)s;
    (void)finished_before;
    *ret_count = 0;
    pthread_mutex_lock(&store.lock);
    if (store.retain_times > 0) {
        store.retain_times--;
        r = store.retain_code;
        if (r < 0)
            emp_fail(err, r, NULL, "the test says so");
        else if (look_max > 0 && nums_cap > 0)
            nums[(*ret_count)++] = ++store.retain_next;
    }
    pthread_mutex_unlock(&store.lock);
    return r;
}
