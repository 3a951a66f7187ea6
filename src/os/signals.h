/* Signals on a libuv loop. On the loop's thread, which should be the main one: libuv runs the
 * callbacks there whatever thread was hit. */
#ifndef EMP_OS_SIGNALS_H
#define EMP_OS_SIGNALS_H

#include <uv.h>

struct emp_signals;
typedef void (*emp_signal_fn)(void *ctx, int signum); /* on the loop; SIGTERM, SIGINT or SIGHUP */

/* Ignores SIGPIPE in the whole process, and begins to deliver the three. The handles do not keep
 * the loop alive. 0 or EMP_E_*. */
int emp_signals_start(uv_loop_t *loop, emp_signal_fn fn, void *ctx, struct emp_signals **ret);
void emp_signals_stop(struct emp_signals *s); /* frees it in a later turn of the loop; default
                                                 actions come back. NULL is fine */
void emp_signals_ignore_pipe(void);

#endif
