/* Fetches one model into the directory of models (models.h).
 *
 * The mirrors are tried in turn. A break, a stall, a 5xx or 429 is tried again, on the next mirror,
 * after a pause that grows; what has come stays and is resumed by Range. A mirror that answers 4xx
 * is not asked again, nor one whose bytes are not what the catalogue says (length, then sha256):
 * its part is thrown away. The model becomes visible only when its length and hash are right and
 * its bytes are on the disk (fsync, rename, fsync of the directory).
 *
 * Gives up when every mirror is out, or after TRIES tries in a row that brought nothing new. Then
 * `done` says why, naming model and host:
 *   - NET, TIMEOUT, CANCELLED: the part stays, if it can be resumed later
 *   - NOT_FOUND, FORBIDDEN, UNAUTHORIZED, SIZE, HASH: the origin's fault; the part goes
 *   - DISK_FULL, IO, …: this machine's fault (machine_fault); the part goes
 *
 * On the loop's thread; hashing a part that is resumed, and the final fsync, run on libuv's thread
 * pool. */
#ifndef EMP_AGENT_TRANSFER_H
#define EMP_AGENT_TRANSFER_H

#include "agent/meter.h"
#include "agent/models.h"
#include "net/http_client.h"

struct emp_transfer_options {
    struct emp_models *models;
    struct emp_http_client *http;
    struct emp_meter *meter;
    int64_t bytes_per_s_max; /* 0: no limit */
    int64_t stall_ms;        /* 0: 30 s */
    int64_t pause_ms;        /* before the second round over the mirrors, doubling; 0: 500 ms */
};

struct emp_transfer_end {
    struct emp_str model;
    int code; /* 0: visible */
    const char *text;
    bool machine_fault;
    int64_t kept_bytes;
};

struct emp_transfer_sink {
    void *arg;
    void (*progress)(void *arg, struct emp_str model, int64_t bytes); /* at most every 250 ms */
    /* Once, never from inside _start or _cancel. */
    void (*done)(void *arg, const struct emp_transfer_end *end);
};

struct emp_transfer;

/* `model` is borrowed until done has returned; then the transfer no longer exists. Never fails:
 * faults come as `done`. */
struct emp_transfer *emp_transfer_start(const struct emp_transfer_options *o,
                                        const struct emp_model *model,
                                        const struct emp_transfer_sink *sink);
void emp_transfer_cancel(struct emp_transfer *t);
int64_t emp_transfer_bytes(const struct emp_transfer *t); /* there so far */

#endif
