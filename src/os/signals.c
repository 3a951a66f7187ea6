#include "os/signals.h"
#include "base/error.h"

#include <signal.h>
#include <stdlib.h>

static const int watched[] = {SIGTERM, SIGINT, SIGHUP};
enum { WATCHED = sizeof watched / sizeof *watched };

struct emp_signals {
    uv_signal_t handles[WATCHED];
    int open; /* handles whose close has not come */
    emp_signal_fn fn;
    void *ctx;
};

static void emp_signals_hit(uv_signal_t *handle, int signum)
{
    struct emp_signals *s = handle->data;
    s->fn(s->ctx, signum);
}

static void emp_signals_closed(uv_handle_t *handle)
{
    struct emp_signals *s = handle->data;
    if (--s->open == 0)
        free(s);
}

int emp_signals_start(uv_loop_t *loop, emp_signal_fn fn, void *ctx, struct emp_signals **ret)
{
    emp_signals_ignore_pipe();
    struct emp_signals *s = calloc(1, sizeof *s);
    if (!s)
        return EMP_E_INTERNAL;
    s->fn = fn;
    s->ctx = ctx;
    for (int i = 0; i < WATCHED; i++) {
        uv_signal_t *h = &s->handles[i];
        int r = uv_signal_init(loop, h);
        if (r == 0) {
            h->data = s;
            s->open++;
            r = uv_signal_start(h, emp_signals_hit, watched[i]);
        }
        if (r != 0) {
            if (s->open == 0)
                free(s);
            else
                emp_signals_stop(s);
            return EMP_E_IO;
        }
        uv_unref((uv_handle_t *)h);
    }
    *ret = s;
    return 0;
}

void emp_signals_stop(struct emp_signals *s)
{
    if (!s)
        return;
    for (int i = 0, n = s->open; i < n; i++)
        uv_close((uv_handle_t *)&s->handles[i], emp_signals_closed);
}

void emp_signals_ignore_pipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}
