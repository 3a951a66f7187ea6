/* Brings a run's output files to the broker: PUT BASE/api/artifacts/JOB_ID/ATTEMPT/NAME, one after
 * the other, each hashed first (on libuv's thread pool). A broker that is away, busy or full (5xx,
 * 408, 429, no answer) is asked again until it takes the file or the upload is cancelled: the work
 * is done, it shall not be lost. Any other answer ends it: the attempt is no longer ours (404, 409,
 * 410), or the file is refused (413 and the rest).
 *
 * On the loop's thread. */
#ifndef EMP_AGENT_UPLOAD_H
#define EMP_AGENT_UPLOAD_H

#include "agent/connectors/connector.h"
#include "base/arena.h"
#include "domain/message.h"
#include "net/http_client.h"

struct emp_upload_options {
    uv_loop_t *loop;
    struct emp_http_client *http;
    const char *base;     /* http://HOST:PORT */
    const char *bearer;   /* NULL: none */
    int64_t pause_ms_max; /* between tries: from 100 ms, doubling; 0: 5 s */
};

/* Everything is copied. */
struct emp_upload_job {
    struct emp_str job_id;
    uint32_t attempt;
    const struct emp_run_output *outputs;
    uint32_t count;
};

struct emp_upload_sink {
    void *arg;
    /* Once, never from inside _start or _cancel. err->code 0: all are there; outputs, as COMPLETED
     * lists them, are borrowed for the call. IO: a file cannot be read; CANCELLED; CONFLICT: the
     * attempt is not ours any more; LIMIT, JOB_FAILED: refused. */
    void (*done)(void *arg, const struct emp_error *err, const struct emp_output *outputs,
                 uint32_t count);
};

struct emp_upload;
struct emp_upload *emp_upload_start(const struct emp_upload_options *o,
                                    const struct emp_upload_job *job,
                                    const struct emp_upload_sink *sink);
void emp_upload_cancel(struct emp_upload *u);

/* The media type of a file name's extension; "application/octet-stream" when unknown. */
struct emp_str emp_media_type(struct emp_str name);

#endif
