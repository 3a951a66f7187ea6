/* Our side of a child: pipes, lines, the tail of stderr, the timer between SIGTERM and SIGKILL. The
 * other side is process_shim.c.
 *
 * A process is over when the supervisor has ended and the three pipes have: the supervisor lets go
 * only when no descendant is left, so the pipes' ends follow at once; a timer covers what cannot be
 * killed. Real pipes, not libuv's socket pairs: programs open /dev/stdout, which fails on a socket.
 */
#include "os/process.h"
#include "os/clock.h"
#include "os/process_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum { STREAM_OUT, STREAM_ERR, STREAM_REPORT, STREAMS, REPORT_MAX = 256, CHUNK_BYTES = 64 << 10 };

struct emp_stream {
    uv_pipe_t pipe;
    struct emp_process *owner;
    bool open, ended;
};

struct emp_process {
    uv_process_t child;
    uv_timer_t timer;
    struct emp_stream streams[STREAMS];
    int handles; /* not yet closed */
    bool child_open, exited, closing, silent;
    bool running;      /* the supervisor has said so */
    bool killed, over; /* asked to end; stdout too long */
    int64_t exit_status;
    int exit_signal;
    int64_t started_us, ended_us, stdout_bytes;
    int grace_ms;
    int64_t stdout_max;

    char *line; /* line_max bytes */
    size_t line_len, line_max;
    bool line_cut, after_cr;
    char *tail; /* 2 * tail_max + 1 bytes */
    size_t tail_len, tail_max;
    bool tail_cut; /* something before it was dropped */
    char report[REPORT_MAX];
    size_t report_len;

    void *ctx;
    void (*on_running)(void *);
    void (*on_line)(void *, const char *, size_t, bool);
    void (*on_stdout)(void *, const char *, size_t);
    void (*on_exit)(void *, const struct emp_process_end *);
};

/* ---- What comes through the pipes ---- */

static void emp_process_line_end(struct emp_process *p)
{
    if (p->on_line)
        p->on_line(p->ctx, p->line, p->line_len, p->line_cut);
    p->line_len = 0;
    p->line_cut = false;
}

static void emp_process_lines(struct emp_process *p, const char *data, size_t len)
{
    for (const char *end = data + len; data < end;) {
        if (*data == '\n' || *data == '\r') {
            bool second = *data == '\n' && p->after_cr && p->line_len == 0;
            p->after_cr = *data++ == '\r';
            if (!second)
                emp_process_line_end(p);
            continue;
        }
        p->after_cr = false;
        size_t n = 0, left = (size_t)(end - data);
        while (n < left && data[n] != '\n' && data[n] != '\r')
            n++;
        size_t room = p->line_max - p->line_len, take = n < room ? n : room;
        memcpy(p->line + p->line_len, data, take);
        p->line_len += take;
        p->line_cut = p->line_cut || take < n;
        data += n;
    }
}

static void emp_process_stdout(struct emp_process *p, const char *data, size_t len)
{
    p->stdout_bytes += (int64_t)len;
    if (p->stdout_max > 0 && p->stdout_bytes > p->stdout_max) {
        if (!p->over)
            emp_process_kill(p, true);
        p->over = true;
        return;
    }
    if (p->on_stdout)
        p->on_stdout(p->ctx, data, len);
    if (p->on_line)
        emp_process_lines(p, data, len);
}

static void emp_process_stderr(struct emp_process *p, const char *data, size_t len)
{
    if (len > p->tail_max) {
        data += len - p->tail_max;
        len = p->tail_max;
        p->tail_cut = true;
    }
    if (p->tail_len + len > 2 * p->tail_max) {
        size_t keep = p->tail_max - len;
        p->tail_cut = true;
        memmove(p->tail, p->tail + p->tail_len - keep, keep);
        p->tail_len = keep;
    }
    memcpy(p->tail + p->tail_len, data, len);
    p->tail_len += len;
}

static void emp_process_report(struct emp_process *p, const char *data, size_t len)
{
    size_t room = sizeof p->report - 1 - p->report_len;
    size_t n = len < room ? len : room;
    memcpy(p->report + p->report_len, data, n);
    p->report_len += n;
    p->report[p->report_len] = '\0';
    if (p->running || !strstr(p->report, "running\n"))
        return;
    p->running = true;
    if (p->on_running)
        p->on_running(p->ctx);
}

static void (*const sinks[STREAMS])(struct emp_process *, const char *, size_t) = {
    emp_process_stdout, emp_process_stderr, emp_process_report};

/* ---- The end ---- */

static void emp_process_fill_tail(struct emp_process *p, struct emp_process_end *end)
{
    size_t n = p->tail_len < p->tail_max ? p->tail_len : p->tail_max;
    char *tail = p->tail + p->tail_len - n;
    if (p->tail_cut || n < p->tail_len) // do not begin inside a character
        while (n > 0 && ((unsigned char)*tail & 0xc0) == 0x80)
            tail++, n--;
    for (size_t i = 0; i < n; i++)
        if (tail[i] == '\0')
            tail[i] = '?';
    tail[n] = '\0';
    end->stderr_tail = tail;
    end->stderr_tail_len = n;
}

static void emp_process_signal_text(int sig, char *text, size_t max)
{
    const char *name = sigabbrev_np(sig);
    if (name)
        snprintf(text, max, "was killed by SIG%s", name);
    else
        snprintf(text, max, "was killed by signal %d", sig); // real-time signals have no names
}

static void emp_process_judge(const struct emp_process *p, struct emp_process_end *end)
{
    char *text = end->text;
    size_t max = sizeof end->text;
    if (end->signal > 0)
        emp_process_signal_text(end->signal, text, max);
    else if (end->exit_status != 0)
        snprintf(text, max, "exited with status %d", end->exit_status);
    end->code = end->signal > 0 || end->exit_status != 0 ? EMP_E_JOB_FAILED : 0;
    /* a shell that stands in between says it as an exit status */
    int ended_by = end->signal ? end->signal : end->exit_status - 128;
    if (ended_by == SIGXFSZ || ended_by == SIGXCPU) {
        snprintf(text, max,
                 ended_by == SIGXFSZ ? "wrote a file larger than its limit"
                                     : "used more processor time than its limit");
        end->code = EMP_E_LIMIT;
    }
    if (p->over) {
        snprintf(text, max, "wrote more to standard output than its limit");
        end->code = EMP_E_LIMIT;
    } else if (p->killed && end->code == EMP_E_JOB_FAILED) {
        end->code = EMP_E_CANCELLED;
    }
}

static void emp_process_fill_report(const struct emp_process *p, struct emp_process_end *end)
{
    int number;
    long long cpu_ms, rss;
    const char *exec = strstr(p->report, "exec "), *usage = strstr(p->report, "usage ");
    if (usage && sscanf(usage, "usage %lld %lld", &cpu_ms, &rss) == 2) {
        end->cpu_ms = cpu_ms;
        end->rss_bytes_max = rss;
    }
    end->started = !exec;
    if (!exec || sscanf(exec, "exec %d", &number) != 1)
        return;
    end->exit_status = EMP_SHIM_EXEC_FAILED;
    end->signal = 0;
    end->code = number == ENOENT || number == ENOTDIR  ? EMP_E_NOT_FOUND
                : number == EACCES || number == EPERM  ? EMP_E_FORBIDDEN
                : number == ENOEXEC || number == E2BIG ? EMP_E_INVALID
                                                       : EMP_E_IO;
    snprintf(end->text, sizeof end->text, "the program cannot be executed: %s", strerror(number));
}

static void emp_process_free(struct emp_process *p)
{
    free(p->line);
    free(p->tail);
    free(p);
}

static void emp_process_closed(uv_handle_t *handle)
{
    struct emp_process *p = handle->data;
    if (--p->handles > 0)
        return;
    if (!p->silent) {
        struct emp_process_end end = {
            .exit_status = p->exit_signal ? -1 : (int)p->exit_status,
            .signal = p->exit_signal,
            .wall_ms = (p->ended_us - p->started_us) / 1000,
        };
        emp_process_judge(p, &end);
        emp_process_fill_report(p, &end);
        emp_process_fill_tail(p, &end);
        p->on_exit(p->ctx, &end);
    }
    emp_process_free(p);
}

static void emp_process_close_all(struct emp_process *p)
{
    if (p->closing)
        return;
    p->closing = true;
    for (int i = 0; i < STREAMS; i++)
        if (p->streams[i].open)
            uv_close((uv_handle_t *)&p->streams[i].pipe, emp_process_closed);
    uv_close((uv_handle_t *)&p->timer, emp_process_closed);
    if (p->child_open)
        uv_close((uv_handle_t *)&p->child, emp_process_closed);
}

static void emp_process_check_over(struct emp_process *p)
{
    bool ended = p->exited;
    for (int i = 0; i < STREAMS; i++)
        ended = ended && p->streams[i].ended;
    if (ended)
        emp_process_close_all(p);
}

/* ---- libuv's callbacks ---- */

static void emp_process_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static _Thread_local char chunk[CHUNK_BYTES]; // used up before the next read of this loop
    (void)handle, (void)suggested;
    *buf = uv_buf_init(chunk, sizeof chunk);
}

static void emp_process_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct emp_process *p = stream->data;
    struct emp_stream *s = (struct emp_stream *)stream;
    ptrdiff_t which = s - p->streams;
    if (n > 0)
        sinks[which](p, buf->base, (size_t)n);
    if (n >= 0 || s->ended)
        return;
    s->ended = true;
    uv_read_stop(stream);
    if (which == STREAM_OUT && (p->line_len > 0 || p->line_cut))
        emp_process_line_end(p);
    emp_process_check_over(p);
}

static void emp_process_drained(uv_timer_t *timer)
{
    emp_process_close_all(timer->data);
}

static void emp_process_exited(uv_process_t *child, int64_t status, int sig)
{
    struct emp_process *p = child->data;
    p->exited = true;
    p->exit_status = status;
    /* A hard kill may come before the supervisor is one: then it is the default action that ends
     * it, before there was a program. */
    p->exit_signal = sig == EMP_SHIM_SIGNAL_HARD && p->killed ? SIGKILL : sig;
    p->ended_us = emp_mono_us();
    uv_timer_start(&p->timer, emp_process_drained, EMP_PROCESS_DRAIN_MS, 0);
    emp_process_check_over(p);
}

static void emp_process_graceless(uv_timer_t *timer)
{
    struct emp_process *p = timer->data;
    uv_process_kill(&p->child, EMP_SHIM_SIGNAL_HARD);
}

void emp_process_kill(struct emp_process *p, bool hard)
{
    if (p->exited)
        return;
    uv_process_kill(&p->child, hard ? EMP_SHIM_SIGNAL_HARD : EMP_SHIM_SIGNAL_SOFT);
    if (!hard && !p->killed)
        uv_timer_start(&p->timer, emp_process_graceless, (uint64_t)p->grace_ms, 0);
    p->killed = true;
}

int emp_process_pid(const struct emp_process *p)
{
    return uv_process_get_pid(&p->child);
}

/* ---- Starting ---- */

/* "NAME=value" and "NAME=other" name the same? */
static bool emp_env_same(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

static bool emp_env_wanted(const struct emp_process_options *o, const char *entry)
{
    static const char *const kept[] = {"PATH=", "HOME=", "LANG=", "TMPDIR="};
    for (const char *const *e = o->env; e && *e; e++)
        if (emp_env_same(entry, *e))
            return false; // replaced
    for (size_t i = 0; o->clear_env && i < sizeof kept / sizeof *kept; i++)
        if (strncmp(entry, kept[i], strlen(kept[i])) == 0)
            return true;
    return !o->clear_env;
}

/* Borrows all strings. */
static char **emp_env_build(const struct emp_process_options *o)
{
    size_t n = 1, at = 0;
    for (char **e = environ; *e; e++)
        n++;
    for (const char *const *e = o->env; e && *e; e++)
        n++;
    char **env = calloc(n, sizeof *env);
    if (!env)
        return NULL;
    for (char **e = environ; *e; e++)
        if (emp_env_wanted(o, *e))
            env[at++] = *e;
    for (const char *const *e = o->env; e && *e; e++)
        env[at++] = (char *)*e;
    return env;
}

/* The supervisor's command line; `numbers` holds what it points to. */
static char **emp_process_args(const struct emp_process_options *o, char numbers[][24])
{
    size_t n = 0;
    while (o->argv[n])
        n++;
    char **args = calloc(EMP_SHIM_ARG_PROGRAM + n + 1, sizeof *args);
    if (!args)
        return NULL;
    const int64_t values[] = {
        [EMP_SHIM_ARG_PARENT] = getpid(),        [EMP_SHIM_ARG_MEMORY] = o->memory_bytes_max,
        [EMP_SHIM_ARG_FILE] = o->file_bytes_max, [EMP_SHIM_ARG_CPU] = o->cpu_s_max,
        [EMP_SHIM_ARG_NNP] = o->no_new_privs,
    };
    args[0] = (char *)"emp";
    args[EMP_SHIM_ARG_WORD] = (char *)EMP_SHIM_WORD;
    for (int i = EMP_SHIM_ARG_PARENT; i < EMP_SHIM_ARG_PROGRAM; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%lld", (long long)(values[i] > 0 ? values[i] : 0));
        args[i] = numbers[i];
    }
    for (size_t i = 0; i < n; i++)
        args[EMP_SHIM_ARG_PROGRAM + i] = (char *)o->argv[i];
    return args;
}

static int emp_process_spawn(struct emp_process *p, uv_loop_t *loop,
                             const struct emp_process_options *o, const int ends[STREAMS])
{
    char numbers[EMP_SHIM_ARG_PROGRAM][24];
    char **args = emp_process_args(o, numbers), **env = emp_env_build(o);
    int r = UV_ENOMEM;
    if (args && env) {
        uv_stdio_container_t stdio[1 + STREAMS] = {{.flags = UV_IGNORE}};
        for (int i = 0; i < STREAMS; i++) {
            stdio[1 + i].flags = UV_INHERIT_FD;
            stdio[1 + i].data.fd = ends[i];
        }
        uv_process_options_t uo = {
            .exit_cb = emp_process_exited,
            .file = "/proc/self/exe",
            .args = args,
            .env = env,
            .cwd = o->cwd,
            .flags = UV_PROCESS_DETACHED, // setsid: no terminal, no Ctrl-C of ours
            .stdio_count = 1 + STREAMS,
            .stdio = stdio,
        };
        p->child_open = true; // even when uv_spawn fails
        p->handles++;
        r = uv_spawn(loop, &p->child, &uo);
    }
    free(args);
    free(env);
    return r;
}

/* Opens the three pipes; ends[] are the child's sides. 0 or a libuv error; what is open already is
 * in p->streams and ends. */
static int emp_process_pipes(struct emp_process *p, uv_loop_t *loop, int ends[STREAMS])
{
    for (int i = 0; i < STREAMS; i++) {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) < 0)
            return uv_translate_sys_error(errno);
        ends[i] = fds[1];
        struct emp_stream *s = &p->streams[i];
        uv_pipe_init(loop, &s->pipe, 0);
        s->open = true;
        s->pipe.data = p;
        p->handles++;
        int r = uv_pipe_open(&s->pipe, fds[0]);
        if (r != 0) {
            close(fds[0]);
            return r;
        }
        r = uv_read_start((uv_stream_t *)&s->pipe, emp_process_alloc, emp_process_read);
        if (r != 0)
            return r;
    }
    return 0;
}

static struct emp_process *emp_process_new(const struct emp_process_options *o)
{
    struct emp_process *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->line_max = o->line_bytes_max ? o->line_bytes_max : EMP_PROCESS_LINE_DEFAULT;
    p->tail_max = o->stderr_tail_max ? o->stderr_tail_max : EMP_PROCESS_TAIL_DEFAULT;
    p->grace_ms = o->grace_ms > 0 ? o->grace_ms : EMP_PROCESS_GRACE_MS;
    p->stdout_max = o->stdout_bytes_max;
    p->line = malloc(p->line_max);
    p->tail = malloc(2 * p->tail_max + 1);
    p->ctx = o->ctx;
    p->on_running = o->on_running;
    p->on_line = o->on_line;
    p->on_stdout = o->on_stdout;
    p->on_exit = o->on_exit;
    if (p->line && p->tail)
        return p;
    emp_process_free(p);
    return NULL;
}

static int emp_process_check(const struct emp_process_options *o, struct emp_error *err)
{
    size_t n = 0;
    while (o->argv && o->argv[n] && n <= EMP_PROCESS_ARGS_MAX)
        n++;
    if (n == 0 || o->argv[0][0] == '\0')
        return emp_fail(err, EMP_E_INVALID, "argv", "there is no program to start");
    if (n > EMP_PROCESS_ARGS_MAX)
        return emp_fail(err, EMP_E_INVALID, "argv", "more than %d arguments", EMP_PROCESS_ARGS_MAX);
    for (const char *const *e = o->env; e && *e; e++)
        if (!strchr(*e, '=') || **e == '=')
            return emp_fail(err, EMP_E_INVALID, "env", "\"%.64s\" is not NAME=value", *e);
    return 0;
}

int emp_process_start(uv_loop_t *loop, const struct emp_process_options *o,
                      struct emp_process **ret, struct emp_error *err)
{
    int r = emp_process_check(o, err);
    if (r < 0)
        return r;
    struct emp_process *p = emp_process_new(o);
    if (!p)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "out of memory");
    int ends[STREAMS] = {-1, -1, -1};
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    p->child.data = p;
    p->handles = 1;
    p->started_us = emp_mono_us();
    r = emp_process_pipes(p, loop, ends);
    if (r == 0)
        r = emp_process_spawn(p, loop, o, ends);
    for (int i = 0; i < STREAMS; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (r == 0) {
        *ret = p;
        return 0;
    }
    p->silent = true;
    emp_process_close_all(p);
    return emp_fail(err, EMP_E_IO, NULL, "cannot start %s in %s: %s", o->argv[0],
                    o->cwd ? o->cwd : ".", uv_strerror(r));
}
