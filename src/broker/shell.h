/* The broker's parts in one struct, for the files of this folder alone. Each part belongs to the
 * thread named beside it. */
#ifndef EMP_BROKER_SHELL_H
#define EMP_BROKER_SHELL_H

#include "broker/agents.h"
#include "broker/auth.h"
#include "broker/blackbox.h"
#include "broker/broker.h"
#include "broker/commit.h"
#include "broker/events.h"
#include "broker/loop.h"
#include "broker/payloads.h"
#include "broker/planning.h"
#include "broker/progress.h"
#include "broker/readers.h"
#include "broker/trash.h"

#include <stdatomic.h>

struct emp_http_server;

/* How often each retry bucket of jobs has moved: tells whether a record read from the store is
 * still the last word (api_actions.c). */
enum { EMP_RETRY_EPOCHS = 1024 };

struct emp_broker {
    struct emp_broker_options o;         /* constant; defaults filled in */
    char *data;                          /* constant: the data directory */
    struct emp_auth auth;                /* constant */
    const struct emp_job_secret *secret; /* constant */
    emp_mono_ms started_at;              /* constant */

    struct emp_store *store;    /* the writer's, once it runs */
    struct emp_readers readers; /* any thread */
    struct emp_committer *committer;
    struct emp_progress_table progress; /* any thread */
    struct emp_http_server *http;

    struct emp_loop loop; /* the rest is the loop's */
    struct emp_core *core;
    struct emp_blackbox *blackbox; /* NULL: off */
    struct emp_planning planning;
    struct emp_payloads payloads;
    struct emp_agents agents;
    struct emp_events events;
    struct emp_trash trash;
    uint32_t uploads; /* output files on their way to the disk */

    atomic_bool ready; /* restored and listening, not stopping */
    atomic_bool stopping;
    atomic_uint retry_epochs[EMP_RETRY_EPOCHS];
    atomic_ullong requests[6]; /* by hundred of the status */
    atomic_ullong bytes_uploaded;
};

static inline atomic_uint *emp_broker_retry_epoch(struct emp_broker *b, emp_job_num job)
{
    return &b->retry_epochs[job % EMP_RETRY_EPOCHS];
}

/* 0; or EMP_E_UNAVAILABLE (starting, stopping), EMP_E_DISK_FULL or EMP_E_IO (commits fail) with a
 * text that says so. Any thread. */
int emp_broker_accepts(struct emp_broker *b, bool writes, struct emp_error *err);

#endif
