#include "broker/trash.h"

#include "os/files.h"
#include "os/log.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EMP_TRASH_MAX = 1000000 };

static void emp_trash_remove_tree(const char *path)
{
    struct emp_error err;

    if (emp_remove_tree(path, &err) < 0)
        emp_log_warn("old output files stay: %s", err.text);
}

static void emp_trash_remove(const struct emp_trash *t, const struct emp_trash_entry *e)
{
    char id[EMP_JOB_ID_TEXT], path[PATH_MAX], keep[16];

    emp_job_id_format(t->secret, e->job, id);
    int len = snprintf(path, sizeof path, "%s/%s", t->dir, id);
    if (len < 0 || (size_t)len >= sizeof path - NAME_MAX - 2)
        return;
    if (e->keep_attempt == 0) {
        emp_trash_remove_tree(path);
        return;
    }

    DIR *d = opendir(path);
    if (!d)
        return;
    snprintf(keep, sizeof keep, "%u", e->keep_attempt);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, keep) == 0)
            continue;
        snprintf(path + len, sizeof path - (size_t)len, "/%s", entry->d_name);
        emp_trash_remove_tree(path);
    }
    closedir(d);
}

static void emp_trash_work(uv_work_t *w)
{
    struct emp_trash *t = w->data;

    for (size_t i = 0; i < t->round_count; i++)
        emp_trash_remove(t, &t->round[i]);
}

static void emp_trash_begin(struct emp_trash *t);

static void emp_trash_worked(uv_work_t *w, int status)
{
    struct emp_trash *t = w->data;

    (void)status;
    free(t->round);
    t->round = NULL;
    t->busy = false;
    emp_trash_begin(t);
}

static void emp_trash_begin(struct emp_trash *t)
{
    if (t->busy || uv_is_closing((uv_handle_t *)&t->wake))
        return;
    pthread_mutex_lock(&t->lock);
    t->round = t->entries;
    t->round_count = t->count;
    t->entries = NULL;
    t->count = t->cap = 0;
    pthread_mutex_unlock(&t->lock);
    if (t->round_count == 0)
        return;
    t->busy = uv_queue_work(t->wake.loop, &t->work, emp_trash_work, emp_trash_worked) == 0;
    if (!t->busy) {
        free(t->round);
        t->round = NULL;
    }
}

static void emp_trash_woken(uv_async_t *h)
{
    emp_trash_begin(h->data);
}

int emp_trash_init(struct emp_trash *t, uv_loop_t *loop, const char *dir,
                   const struct emp_job_secret *secret)
{
    memset(t, 0, sizeof *t);
    t->dir = dir;
    t->secret = secret;
    pthread_mutex_init(&t->lock, NULL);
    t->work.data = t;
    t->wake.data = t;
    if (uv_async_init(loop, &t->wake, emp_trash_woken) < 0)
        return EMP_E_INTERNAL;
    t->wake.data = t;
    return 0;
}

void emp_trash_close(struct emp_trash *t)
{
    uv_close((uv_handle_t *)&t->wake, NULL);
}

void emp_trash_release(struct emp_trash *t)
{
    free(t->entries);
    free(t->round);
    pthread_mutex_destroy(&t->lock);
}

void emp_trash_add(struct emp_trash *t, emp_job_num job, uint32_t keep_attempt)
{
    pthread_mutex_lock(&t->lock);
    if (t->count == t->cap && t->count < EMP_TRASH_MAX) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct emp_trash_entry *entries = realloc(t->entries, cap * sizeof *entries);
        if (entries) {
            t->entries = entries;
            t->cap = cap;
        }
    }
    bool added = t->count < t->cap;
    if (added)
        t->entries[t->count++] = (struct emp_trash_entry){job, keep_attempt};
    pthread_mutex_unlock(&t->lock);
    if (added)
        uv_async_send(&t->wake);
}
