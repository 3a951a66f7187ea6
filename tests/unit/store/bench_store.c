/* How fast the store is: not a test, figures for people. `bench_store [seconds per line]
 * [directory]`.
 *
 *   life     jobs whose submission, assignment and completion come in three different batches, as
 *            with real machines: one insert, two updates, one result
 *   one      the same within one batch, as with very short jobs
 *   submit   submissions alone
 *
 * Every commit is durable (one sync). Then restoring and reading what has been written. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct bench {
    struct dir dir;
    struct emp_store *store;
    struct changes *changes;
    emp_job_num next;
    double seconds;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* About 200 bytes, as a small submission has. */
static int resolve_small(void *ctx, emp_blob_token token, struct emp_str *ret)
{
    (void)ctx, (void)token;
    *ret = EMP_STR("{\"service_required\":\"simulation\",\"customer_id\":\"customer-1\","
                   "\"priority\":70,\"payload\":"
                   "{\"duration_ms\":50,\"prompt\":\"a cat on a mat, photographed in the evening "
                   "sun\",\"seed\":"
                   "18446744073709551615}}");
    return 0;
}

static void commit_small(struct bench *b)
{
    struct emp_error err = {0};
    if (emp_store_commit(b->store, b->changes->items, b->changes->count, resolve_small, NULL,
                         &err) < 0) {
        fprintf(stderr, "commit: %s\n", err.text);
        exit(1);
    }
    changes_clear(b->changes);
}

static void round_life(struct bench *b, unsigned batch)
{
    for (unsigned i = 0; i < batch; i++) {
        emp_job_num n = b->next++;
        add_job(b->changes, n, 0, true);
        if (n > batch)
            add_job(b->changes, n - batch, 1, false);
        if (n > 5 * batch)
            add_job(b->changes, n - 5 * batch, 3, false);
    }
    commit_small(b);
}

static void round_one(struct bench *b, unsigned batch)
{
    for (unsigned i = 0; i < batch; i++) {
        emp_job_num n = b->next++;
        add_job(b->changes, n, 0, true);
        add_job(b->changes, n, 1, false);
        add_job(b->changes, n, 3, false);
    }
    commit_small(b);
}

static void round_submit(struct bench *b, unsigned batch)
{
    for (unsigned i = 0; i < batch; i++)
        add_job(b->changes, b->next++, 0, true);
    commit_small(b);
}

static void open_store(struct bench *b)
{
    struct emp_error err = {0};
    if (emp_store_open(b->dir.path, NULL, &b->store, &err) < 0) {
        fprintf(stderr, "open: %s\n", err.text);
        exit(1);
    }
}

static void run(struct bench *b, const char *name, void (*round)(struct bench *b, unsigned batch),
                unsigned batch)
{
    struct emp_store_stats stats;
    dir_init(&b->dir);
    open_store(b);
    b->next = 1;
    double start = now(), end = start, cpu_start = cpu(), worst = 0;
    unsigned commits = 0;
    while (end - start < b->seconds) {
        round(b, batch);
        double t = now();
        worst = t - end > worst ? t - end : worst;
        end = t;
        commits++;
    }
    double jobs = (double)(b->next - 1);
    emp_store_stats(b->store, &stats);
    printf("%-7s batch %4u: %8.0f jobs/s  %7.0f commits/s  %5.2f ms mean %6.1f ms worst  %5.2f us "
           "cpu/job  log %4lld MB  data %4lld MB %llu folds\n",
           name, batch, jobs / (end - start), commits / (end - start),
           (end - start) * 1e3 / commits, worst * 1e3, (cpu() - cpu_start) * 1e6 / jobs,
           (long long)stats.log_bytes >> 20, (long long)stats.data_bytes >> 20,
           (unsigned long long)stats.checkpoints);
    fflush(stdout);
    emp_store_close(b->store);
    dir_release(&b->dir);
}

static void count_one(void *ctx, const struct emp_change *c)
{
    *(unsigned *)ctx += c->kind == EMP_CHANGE_JOB;
}

static double list_ms(struct emp_store_reader *r, const struct emp_store_query *q,
                      uint64_t *ret_total)
{
    struct emp_arena a;
    struct emp_store_list list;
    emp_arena_init(&a, 0);
    double start = now();
    if (emp_store_jobs(r, q, &a, &list, NULL) < 0)
        exit(1);
    double took = now() - start;
    emp_arena_release(&a);
    *ret_total = list.total;
    return took * 1e3;
}

static void read_lists(struct bench *b)
{
    static const struct {
        const char *name;
        struct emp_store_query q;
    } lists[] = {
        {"newest 50", {.limit = 50}},
        {"newest 1000", {.limit = 1000}},
        {"pending by priority",
         {.states = 1u << EMP_JOB_PENDING, .sort = EMP_STORE_BY_PRIORITY, .limit = 50}},
        {"of a customer", {.customer = {"customer-1", 10}, .limit = 50}},
        {"of a workflow", {.workflow = {"workflow-100", 12}, .limit = 50}},
        {"finished last",
         {.states = 1u << EMP_JOB_COMPLETED, .sort = EMP_STORE_BY_FINISHED, .limit = 50}},
    };
    struct emp_store_reader *r;
    if (emp_store_reader_new(b->store, &r, NULL) < 0)
        exit(1);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        uint64_t total;
        list_ms(r, &lists[i].q, &total);
        double ms = list_ms(r, &lists[i].q, &total);
        printf("list %-20s %8.2f ms (of %llu)\n", lists[i].name, ms, (unsigned long long)total);
    }
    emp_store_reader_free(r);
}

static void restore(struct bench *b, unsigned jobs)
{
    unsigned count = 0;
    emp_job_num last;
    dir_init(&b->dir);
    open_store(b);
    b->next = 1;
    while (b->next <= jobs)
        (b->next <= jobs / 2 ? round_one : round_submit)(b, 1000);
    emp_store_close(b->store);
    double start = now();
    open_store(b);
    if (emp_store_restore(b->store, count_one, &count, &last, NULL) < 0)
        exit(1);
    printf("restore %u living of %llu jobs: %.2f s\n", count, (unsigned long long)last,
           now() - start);
    read_lists(b);
    emp_store_close(b->store);
    dir_release(&b->dir);
}

int main(int argc, char **argv)
{
    static const unsigned batches[] = {1, 10, 100, 200, 500};
    static const struct {
        const char *name;
        void (*round)(struct bench *b, unsigned batch);
    } lines[] = {{"life", round_life}, {"one", round_one}, {"submit", round_submit}};
    struct bench b = {.seconds = argc > 1 ? atof(argv[1]) : 5, .changes = changes_new()};
    emp_arena_release(&b.changes->arena);
    emp_arena_init(&b.changes->arena, 4 << 20);
    const char *only = argc > 3 ? argv[3] : NULL;
    unsigned only_batch = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
    if (argc > 2)
        setenv("TMPDIR", argv[2], 1);
    for (size_t l = 0; l < sizeof lines / sizeof lines[0]; l++)
        for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
            if ((!only || strcmp(only, lines[l].name) == 0) &&
                (!only_batch || only_batch == batches[i]))
                run(&b, lines[l].name, lines[l].round, batches[i]);
    if (!only || strcmp(only, "restore") == 0)
        restore(&b, 2000000);
    changes_free(b.changes);
    return 0;
}
