/* Child processes: what they say arrives, what they may not is kept from them, and nothing of them
 * is left, whoever dies first. The victims are small shell scripts, and this program itself. */
#include "check.h"

#include "base/str.h"
#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { LIMIT_MS = 60000, LINES_MAX = 64, LINE_KEPT = 128 };

/* ---- one run, watched ---- */

struct run {
    uv_loop_t loop;
    uv_timer_t limit;
    struct emp_process *p;
    struct emp_buf out; /* stdout, as it came */
    char lines[LINES_MAX][LINE_KEPT];
    bool cut[LINES_MAX];
    int line_count;
    const char *kill_at; /* the line at which it is killed */
    bool kill_hard;
    struct emp_process_end end;
    char tail[4096];
    int runnings, ends;
};

static void on_running(void *ctx)
{
    struct run *r = ctx;
    assert_int_equal(r->ends, 0);
    r->runnings++;
}

static void on_line(void *ctx, const char *line, size_t len, bool cut)
{
    struct run *r = ctx;
    assert_int_equal(r->ends, 0);
    if (r->line_count < LINES_MAX) {
        int n = len < LINE_KEPT ? (int)len : LINE_KEPT - 1;
        snprintf(r->lines[r->line_count], LINE_KEPT, "%.*s", n, line);
        r->cut[r->line_count++] = cut;
    }
    if (r->kill_at && len == strlen(r->kill_at) && memcmp(line, r->kill_at, len) == 0)
        emp_process_kill(r->p, r->kill_hard);
}

static void on_stdout(void *ctx, const char *data, size_t len)
{
    struct run *r = ctx;
    emp_buf_add(&r->out, data, len);
}

static void on_exit_(void *ctx, const struct emp_process_end *end)
{
    struct run *r = ctx;
    r->ends++;
    r->end = *end;
    assert_int_equal(strlen(end->stderr_tail), end->stderr_tail_len);
    snprintf(r->tail, sizeof r->tail, "%s", end->stderr_tail);
    uv_close((uv_handle_t *)&r->limit, NULL);
}

static void on_limit(uv_timer_t *t)
{
    (void)t;
    fprintf(stderr, "a process did not end within %d s\n", LIMIT_MS / 1000);
    abort();
}

static void begin(struct run *r)
{
    memset(r, 0, sizeof *r);
    emp_buf_init(&r->out, 64 << 20);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    uv_timer_init(&r->loop, &r->limit);
    uv_timer_start(&r->limit, on_limit, LIMIT_MS, 0);
}

static void start(struct run *r, const struct emp_process_options *options)
{
    struct emp_process_options o = *options;
    struct emp_error err = {0};
    o.ctx = r;
    o.on_running = on_running;
    o.on_line = on_line;
    o.on_stdout = on_stdout;
    o.on_exit = on_exit_;
    if (emp_process_start(&r->loop, &o, &r->p, &err) < 0)
        fail_msg("not started: %s", err.text);
    assert_true(emp_process_pid(r->p) > 0);
}

static void finish(struct run *r)
{
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(r->ends, 1);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void end(struct run *r)
{
    emp_buf_release(&r->out);
}

static void run(struct run *r, const struct emp_process_options *o)
{
    begin(r);
    start(r, o);
    finish(r);
    assert_int_equal(r->runnings, r->end.started); // told, unless it could not be executed
}

#define SCRIPT(text)              \
    .argv = (const char *const[]) \
    {                             \
        "sh", "-c", text, NULL    \
    }
#define RUN(r, ...) run(r, &(struct emp_process_options){__VA_ARGS__})

static void assert_end(const struct run *r, int code, int exit_status, int sig)
{
    if (r->end.code != code || r->end.exit_status != exit_status || r->end.signal != sig)
        fail_msg("ended with %s, status %d, signal %d: %s; stderr: %s",
                 r->end.code ? emp_error_name(r->end.code) : "success", r->end.exit_status,
                 r->end.signal, r->end.text, r->tail);
    assert_true((code == 0) == (r->end.text[0] == '\0'));
}

static void assert_lines(const struct run *r, int count, const char *const *lines)
{
    assert_int_equal(r->line_count, count);
    for (int i = 0; i < count; i++)
        assert_string_equal(r->lines[i], lines[i]);
}

/* ---- who is still there? ---- */

/* A zombie is gone: only its number is left. */
static bool gone(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return true;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *state = strrchr(text, ')');
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static void assert_gone(pid_t pid)
{
    assert_true(pid > 1);
    if (!gone(pid))
        fail_msg("process %ld is still there", (long)pid);
}

static void wait_gone(pid_t pid)
{
    assert_true(pid > 1);
    for (int ms = 0; !gone(pid); ms += 5) {
        if (ms > LIMIT_MS)
            fail_msg("process %ld is still there", (long)pid);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

/* ---- what it says ---- */

static void lines_arrive_without_their_ends(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("printf 'a\\nb\\r\\n\\nc\\rd\\n\\nlast'"));
    assert_end(&r, 0, 0, 0);
    assert_true(r.end.started);
    assert_lines(&r, 7, (const char *const[]){"a", "b", "", "c", "d", "", "last"});
    assert_int_equal(r.out.len, 15);
    assert_true(r.end.wall_ms >= 0 && r.end.wall_ms < LIMIT_MS);
    end(&r);
}

/* "\r" at the end of one chunk and "\n" at the start of the next are one end of a line. */
static void a_line_in_pieces_is_one_line(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("printf on; sleep 0.05; printf 'e\\r'; sleep 0.05; printf '\\ntwo\\n'"));
    assert_lines(&r, 2, (const char *const[]){"one", "two"});
    end(&r);
}

static void a_long_line_is_cut_and_the_next_is_whole(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("printf '123456789\\n12345678\\n\\nx'"), .line_bytes_max = 8);
    assert_lines(&r, 4, (const char *const[]){"12345678", "12345678", "", "x"});
    assert_true(r.cut[0]);
    assert_false(r.cut[1] || r.cut[2] || r.cut[3]);
    end(&r);
}

static void a_flood_arrives_whole(void **state)
{
    enum { BYTES = 20000000 };
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("yes 0123456789 | head -c 20000000"));
    assert_end(&r, 0, 0, 0);
    assert_int_equal(r.out.len, BYTES);
    for (size_t i = 0; i < BYTES; i++)
        if (r.out.data[i] != "0123456789\n"[i % 11])
            fail_msg("byte %zu is another", i);
    end(&r);
}

/* What is written last is not lost, although the end is known before the loop looks again. */
static void the_last_words_are_heard_by_a_slow_loop(void **state)
{
    struct run r;
    (void)state;
    begin(&r);
    start(&r, &(struct emp_process_options){SCRIPT("head -c 60000 /dev/zero; printf '\\nlast'")});
    wait_gone(emp_process_pid(r.p));
    uv_run(&r.loop, UV_RUN_NOWAIT); // one look, then busy for longer than output is waited for
    struct timespec busy = {.tv_nsec = (EMP_PROCESS_DRAIN_MS + 100) * 1000000L % 1000000000,
                            .tv_sec = (EMP_PROCESS_DRAIN_MS + 100) / 1000};
    nanosleep(&busy, NULL);
    finish(&r);
    assert_int_equal(r.out.len, 60005);
    assert_string_equal(r.lines[1], "last");
    end(&r);
}

static void of_stderr_the_last_bytes_are_kept(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("yes ä | head -n 100000 >&2; printf 'x\\0the end' >&2; exit 3"),
        .stderr_tail_max = 20);
    assert_end(&r, EMP_E_JOB_FAILED, 3, 0);
    assert_string_equal(r.end.text, "exited with status 3");
    assert_string_equal(r.tail, "\nä\nä\nä\nx?the end"); // 20 bytes would begin inside an ä
    end(&r);

    RUN(&r, SCRIPT("printf 'short' >&2"));
    assert_string_equal(r.tail, "short");
    end(&r);
}

static void standard_input_is_empty(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, .argv = (const char *const[]){"cat", NULL});
    assert_end(&r, 0, 0, 0);
    assert_int_equal(r.out.len, 0);
    end(&r);
}

static void the_programs_own_signal_is_told(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("kill -SEGV $$"));
    assert_end(&r, EMP_E_JOB_FAILED, -1, SIGSEGV);
    assert_string_equal(r.end.text, "was killed by SIGSEGV");
    end(&r);
}

static void many_run_side_by_side(void **state)
{
    enum { MANY = 20 };
    static struct run runs[MANY];
    uv_loop_t loop;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    for (int i = 0; i < MANY; i++) {
        char text[64];
        struct emp_error err;
        snprintf(text, sizeof text, "echo %d; exit %d", i, i);
        struct emp_process_options o = {
            .argv = (const char *const[]){"sh", "-c", text, NULL},
            .ctx = &runs[i],
            .on_line = on_line,
            .on_exit = on_exit_,
        };
        uv_timer_init(&loop, &runs[i].limit);
        uv_timer_start(&runs[i].limit, on_limit, LIMIT_MS, 0);
        assert_int_equal(emp_process_start(&loop, &o, &runs[i].p, &err), 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(runs[i].end.exit_status, i);
        assert_int_equal(atoi(runs[i].lines[0]), i);
    }
}

/* ---- what it is given ---- */

static void the_environment_is_what_was_asked_for(void **state)
{
    struct run r;
    (void)state;
    setenv("EMP_TEST_SECRET", "1", 1);
    setenv("LANG", "C", 1);
    RUN(&r, SCRIPT("echo \"$EMP_TEST_SECRET-$EMP_TEST_OWN-$LANG\""),
        .env = (const char *const[]){"EMP_TEST_OWN=2", "LANG=xx", NULL});
    assert_lines(&r, 1, (const char *const[]){"1-2-xx"});
    end(&r);
    RUN(&r, SCRIPT("env | grep -v '^PWD=\\|^OLDPWD=\\|^_=\\|^SHLVL=' | cut -d= -f1 | sort"),
        .env = (const char *const[]){"EMP_TEST_OWN=", NULL}, .clear_env = true);
    for (int i = 0; i < r.line_count; i++)
        if (!strstr(" EMP_TEST_OWN HOME LANG PATH TMPDIR ", r.lines[i]))
            fail_msg("%s was inherited", r.lines[i]);
    assert_string_equal(r.lines[0], "EMP_TEST_OWN");
    end(&r);
    unsetenv("EMP_TEST_SECRET");
}

static void the_program_is_found_by_the_childs_own_path(void **state)
{
    struct run r;
    char path[128];
    (void)state;
    assert_int_equal(mkdir("bin", 0755), 0);
    put("bin/emp-test-tool", "#!/bin/sh\necho found\n");
    chmod("bin/emp-test-tool", 0755);
    snprintf(path, sizeof path, "PATH=/no/such:%s/bin:/usr/bin:/bin",
             ((struct place *)*state)->dir);
    RUN(&r, .argv = (const char *const[]){"emp-test-tool", NULL},
        .env = (const char *const[]){path, NULL});
    assert_lines(&r, 1, (const char *const[]){"found"});
    end(&r);
    RUN(&r, .argv = (const char *const[]){"emp-test-tool", NULL});
    assert_end(&r, EMP_E_NOT_FOUND, 127, 0);
    end(&r);
}

static void it_runs_where_it_is_told_to(void **state)
{
    struct run r;
    struct emp_error err;
    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    RUN(&r, SCRIPT("basename \"$PWD\""), .cwd = "d");
    assert_string_equal(r.lines[0], "d");
    end(&r);

    begin(&r);
    struct emp_process_options o = {SCRIPT("true"), .cwd = "no/such", .on_exit = on_exit_};
    assert_int_equal(emp_process_start(&r.loop, &o, &r.p, &err), EMP_E_IO);
    assert_string_equal(err.text, "cannot start sh in no/such: no such file or directory");
    uv_close((uv_handle_t *)&r.limit, NULL);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(r.ends, 0); // nothing was started, nobody is told
    assert_int_equal(uv_loop_close(&r.loop), 0);
    end(&r);
}

static void it_gets_three_descriptors_and_no_signal_habits_of_ours(void **state)
{
    struct run r;
    (void)state;
    int leak = fcntl(STDERR_FILENO, F_DUPFD, 50); // deliberately without O_CLOEXEC
    signal(SIGPIPE, SIG_IGN);
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigprocmask(SIG_BLOCK, &block, NULL);
    RUN(&r, .argv = (const char *const[]){"/proc/self/exe", "victim", "inheritance", NULL});
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(leak);
    assert_end(&r, 0, 0, 0);
    assert_lines(&r, 3, (const char *const[]){"descriptors 0 1 2", "ignored none", "blocked none"});
    end(&r);
}

/* ---- what cannot be started ---- */

static void assert_not_started(const char *program, int code, const char *why)
{
    struct run r;
    RUN(&r, .argv = (const char *const[]){program, "arg", NULL});
    assert_end(&r, code, 127, 0);
    assert_false(r.end.started);
    assert_has(r.end.text, why);
    end(&r);
}

static void what_cannot_be_executed_is_told_apart(void **state)
{
    (void)state;
    put("plain", "#!/bin/sh\nexit 0\n");
    chmod("plain", 0644);
    put("noise", "this is no program\n");
    chmod("noise", 0755);
    put("orphan", "#!/no/such/interpreter\n");
    chmod("orphan", 0755);
    assert_int_equal(mkdir("dir", 0755), 0);
    assert_not_started("no-such-program", EMP_E_NOT_FOUND, "No such file");
    assert_not_started("./no/such", EMP_E_NOT_FOUND, "No such file");
    assert_not_started("./orphan", EMP_E_NOT_FOUND, "No such file");
    assert_not_started("./plain", EMP_E_FORBIDDEN, "Permission denied");
    assert_not_started("./dir", EMP_E_FORBIDDEN, "Permission denied");
    assert_not_started("./noise", EMP_E_INVALID, "Exec format error"); // no shell has a try at it
}

static void what_makes_no_sense_is_refused_at_once(void **state)
{
    struct run r;
    struct emp_error err;
    const char **many = calloc(EMP_PROCESS_ARGS_MAX + 2, sizeof *many);
    (void)state;
    for (int i = 0; i <= EMP_PROCESS_ARGS_MAX; i++)
        many[i] = "true";
    begin(&r);
    struct emp_process_options o = {.argv = NULL};
    assert_int_equal(emp_process_start(&r.loop, &o, &r.p, &err), EMP_E_INVALID);
    o.argv = (const char *const[]){NULL};
    assert_int_equal(emp_process_start(&r.loop, &o, &r.p, &err), EMP_E_INVALID);
    o.argv = (const char *const[]){"", NULL};
    assert_int_equal(emp_process_start(&r.loop, &o, &r.p, &err), EMP_E_INVALID);
    o.argv = many;
    assert_int_equal(emp_process_start(&r.loop, &o, &r.p, &err), EMP_E_INVALID);
    assert_string_equal(err.text, "more than 1024 arguments");
    o = (struct emp_process_options){SCRIPT("true"), .env = (const char *const[]){"nothing", NULL}};
    assert_int_equal(emp_process_start(&r.loop, &o, &r.p, &err), EMP_E_INVALID);
    assert_string_equal(err.text, "\"nothing\" is not NAME=value");
    uv_close((uv_handle_t *)&r.limit, NULL);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r.loop), 0);
    end(&r);
    free(many);
}

/* ---- being stopped ---- */

static void asked_to_end_it_may_end_as_it_likes(void **state)
{
    struct run r;
    (void)state;
    begin(&r);
    r.kill_at = "ready";
    start(&r, &(struct emp_process_options){SCRIPT(
                  "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")});
    finish(&r);
    assert_end(&r, 0, 0, 0);
    assert_lines(&r, 2, (const char *const[]){"ready", "bye"});
    end(&r);

    begin(&r);
    r.kill_at = "ready";
    start(&r, &(struct emp_process_options){SCRIPT("echo ready; exec sleep 1000")});
    finish(&r);
    assert_end(&r, EMP_E_CANCELLED, -1, SIGTERM);
    end(&r);
}

static void who_does_not_listen_is_killed_after_the_grace(void **state)
{
    struct run r;
    (void)state;
    begin(&r);
    r.kill_at = "ready";
    start(&r,
          &(struct emp_process_options){
              SCRIPT("trap '' TERM; echo ready; while :; do sleep 0.01; done"), .grace_ms = 150});
    finish(&r);
    assert_end(&r, EMP_E_CANCELLED, -1, SIGKILL);
    assert_string_equal(r.end.text, "was killed by SIGKILL");
    assert_true(r.end.wall_ms >= 150);
    end(&r);
}

static void a_hard_kill_does_not_wait(void **state)
{
    struct run r;
    (void)state;
    begin(&r);
    r.kill_at = "ready";
    r.kill_hard = true;
    start(&r, &(struct emp_process_options){
                  SCRIPT("trap '' TERM; echo ready; while :; do sleep 0.01; done"),
                  .grace_ms = LIMIT_MS});
    finish(&r);
    assert_end(&r, EMP_E_CANCELLED, -1, SIGKILL);
    end(&r);
}

/* At any moment of its start: before the supervisor runs, before the program does, after. */
static void a_kill_right_after_the_start_is_a_kill(void **state)
{
    (void)state;
    for (int i = 0; i < 24; i++) {
        struct run r;
        begin(&r);
        start(&r, &(struct emp_process_options){SCRIPT("exec sleep 1000")});
        if (i % 4)
            nanosleep(&(struct timespec){.tv_nsec = i * 200000L}, NULL);
        emp_process_kill(r.p, i % 2);
        emp_process_kill(r.p, i % 3 == 0); // repeated
        finish(&r);
        assert_int_equal(r.end.code, EMP_E_CANCELLED);
        assert_true(r.end.signal == SIGTERM || r.end.signal == SIGKILL);
        end(&r);
    }
}

static void a_stopped_program_wakes_up_to_end(void **state)
{
    struct run r;
    (void)state;
    begin(&r);
    r.kill_at = "ready";
    start(&r, &(struct emp_process_options){SCRIPT("echo ready; kill -STOP $$; echo awake"),
                                            .grace_ms = LIMIT_MS});
    finish(&r);
    assert_end(&r, EMP_E_CANCELLED, -1, SIGTERM);
    end(&r);
}

static void the_whole_group_is_asked(void **state)
{
    struct run r;
    (void)state;
    begin(&r);
    r.kill_at = "ready";
    start(&r, &(struct emp_process_options){
                  SCRIPT("sh -c \"trap 'echo child; exit' TERM; echo ready; "
                         "while :; do sleep 0.01; done\" & trap 'wait; exit 0' TERM; wait")});
    finish(&r);
    assert_end(&r, 0, 0, 0);
    assert_lines(&r, 2, (const char *const[]){"ready", "child"});
    end(&r);
}

/* ---- who is left behind ---- */

static const char
    *const family = /* a child in the group, one outside it, a daemon; all ignore SIGTERM */
    "trap '' TERM; sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & "
    "setsid sh -c 'sh -c \"echo \\$\\$; exec sleep 1000\" & exit' ; ";

static void assert_family_gone(const struct run *r)
{
    int pids = 0;
    for (int i = 0; i < r->line_count; i++)
        if (r->lines[i][0] >= '1' && r->lines[i][0] <= '9') {
            assert_gone((pid_t)atol(r->lines[i]));
            pids++;
        }
    assert_int_equal(pids, 3);
}

static void children_left_behind_end_with_the_program(void **state)
{
    struct run r;
    char script[512];
    (void)state;
    /* They hold its output open: the end is the program's nevertheless. It leaves when all have
     * spoken. */
    snprintf(script, sizeof script, "(%s) | { read a; read b; read c; echo $a; echo $b; echo $c; }",
             family);
    begin(&r);
    start(&r,
          &(struct emp_process_options){.argv = (const char *const[]){"sh", "-c", script, NULL}});
    finish(&r);
    assert_end(&r, 0, 0, 0);
    assert_family_gone(&r);
    assert_true(r.end.wall_ms < LIMIT_MS / 2);
    end(&r);
}

/* Killed once all three have spoken. */
static void on_third_line(void *ctx, const char *line, size_t len, bool cut)
{
    struct run *r = ctx;
    on_line(ctx, line, len, cut);
    if (r->line_count == 3)
        emp_process_kill(r->p, r->kill_hard);
}

static void children_end_with_a_killed_program(void **state)
{
    char script[512];
    (void)state;
    snprintf(script, sizeof script, "%s while :; do sleep 1000; done", family);
    for (int hard = 0; hard < 2; hard++) {
        struct run r;
        struct emp_error err;
        begin(&r);
        r.kill_hard = hard;
        struct emp_process_options o = {.argv = (const char *const[]){"sh", "-c", script, NULL},
                                        .grace_ms = 50,
                                        .ctx = &r,
                                        .on_line = on_third_line,
                                        .on_exit = on_exit_};
        assert_int_equal(emp_process_start(&r.loop, &o, &r.p, &err), 0);
        finish(&r);
        assert_end(&r, EMP_E_CANCELLED, -1, SIGKILL);
        assert_family_gone(&r);
        end(&r);
    }
}

static void a_dying_supervisor_takes_its_program_along(void **state)
{
    struct run r;
    (void)state;
    begin(&r);
    start(&r, &(struct emp_process_options){SCRIPT("echo $$; exec sleep 1000")});
    while (r.line_count == 0)
        uv_run(&r.loop, UV_RUN_ONCE);
    kill(emp_process_pid(r.p), SIGKILL);
    finish(&r);
    assert_end(&r, EMP_E_JOB_FAILED, -1, SIGKILL);
    wait_gone((pid_t)atol(r.lines[0]));
    end(&r);
}

/* We die by kill -9: a copy of this program starts the family, says its numbers, and is killed. */
static void nobody_outlives_us(void **state)
{
    int fds[2], status;
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t us = fork();
    if (us == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test", "victim", "parent", family, NULL);
        _exit(1);
    }
    close(fds[1]);
    FILE *f = fdopen(fds[0], "r");
    long pids[4]; // the family, and its supervisor
    for (int i = 0; i < 4; i++)
        assert_int_equal(fscanf(f, "%ld", &pids[i]), 1);
    for (int i = 0; i < 4; i++)
        assert_false(gone((pid_t)pids[i]));
    kill(us, SIGKILL);
    assert_int_equal(waitpid(us, &status, 0), us);
    for (int i = 0; i < 4; i++)
        wait_gone((pid_t)pids[i]);
    fclose(f);
}

/* ---- limits ---- */

static void limits_are_set_for_the_program(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("ulimit -v; ulimit -f; ulimit -t; ulimit -c; grep NoNewPrivs /proc/self/status"),
        .memory_bytes_max = 1 << 30, .file_bytes_max = 1 << 20, .cpu_s_max = 77,
        .no_new_privs = true);
    assert_lines(&r, 5, (const char *const[]){"1048576", "2048", "77", "0", "NoNewPrivs:\t1"});
    end(&r);
    RUN(&r, SCRIPT("grep NoNewPrivs /proc/self/status"));
    assert_lines(&r, 1, (const char *const[]){"NoNewPrivs:\t0"});
    end(&r);
}

static void a_file_that_grows_too_large_is_a_limit(void **state)
{
    struct run r;
    struct stat st;
    (void)state;
    RUN(&r,
        .argv = (const char *const[]){"dd", "if=/dev/zero", "of=big", "bs=1000", "count=100", NULL},
        .file_bytes_max = 50000);
    assert_end(&r, EMP_E_LIMIT, -1, SIGXFSZ);
    assert_string_equal(r.end.text, "wrote a file larger than its limit");
    assert_int_equal(stat("big", &st), 0);
    assert_int_equal(st.st_size, 50000);
    end(&r);
}

static void too_much_processor_time_is_a_limit(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("while :; do :; done"), .cpu_s_max = 1);
    assert_end(&r, EMP_E_LIMIT, -1, SIGXCPU);
    assert_string_equal(r.end.text, "used more processor time than its limit");
    assert_in_range(r.end.cpu_ms, 500, 3000);
    end(&r);
}

static void memory_beyond_the_limit_is_not_given(void **state)
{
    struct run r;
    (void)state;
    RUN(&r,
        .argv =
            (const char *const[]){"dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1", NULL},
        .memory_bytes_max = 200 << 20);
    assert_end(&r, EMP_E_JOB_FAILED, 1, 0);
    assert_has(r.tail, "memory");
    end(&r);
}

static void too_much_output_ends_the_run(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, SCRIPT("trap '' TERM; yes"), .stdout_bytes_max = 100000, .grace_ms = LIMIT_MS);
    assert_int_equal(r.end.code, EMP_E_LIMIT);
    assert_string_equal(r.end.text, "wrote more to standard output than its limit");
    assert_true(r.out.len <= 100000);
    end(&r);
    RUN(&r, SCRIPT("head -c 1000 /dev/zero"), .stdout_bytes_max = 1000);
    assert_end(&r, 0, 0, 0);
    assert_int_equal(r.out.len, 1000);
    end(&r);
}

static void what_it_used_is_told(void **state)
{
    struct run r;
    (void)state;
    RUN(&r, .argv = (const char *const[]){"dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=8",
                                          NULL});
    assert_end(&r, 0, 0, 0);
    assert_true(r.end.rss_bytes_max >= 64 << 20 && r.end.rss_bytes_max < 256 << 20);
    assert_true(r.end.cpu_ms > 0 && r.end.cpu_ms < LIMIT_MS);
    end(&r);
}

/* ---- victims ---- */

static void print_set(const char *what, const char *key)
{
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            printf("%s %s\n", what,
                   strspn(line + strlen(key), ":\t0\n") == strlen(line + strlen(key)) ? "none"
                                                                                      : line);
    if (f)
        fclose(f);
}

static int victim_inheritance(void)
{
    printf("descriptors");
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf(" %d", fd);
    printf("\n");
    print_set("ignored", "SigIgn");
    print_set("blocked", "SigBlk");
    return 0;
}

static void tell(void *ctx, const char *line, size_t len, bool cut)
{
    (void)ctx, (void)cut;
    printf("%.*s\n", (int)len, line);
    fflush(stdout);
}

static void never(void *ctx, const struct emp_process_end *e)
{
    (void)ctx, (void)e;
    abort();
}

static int victim_parent(const char *script)
{
    uv_loop_t loop;
    struct emp_process *p;
    char text[1024];
    snprintf(text, sizeof text, "%s while :; do sleep 1000; done", script);
    struct emp_process_options o = {
        .argv = (const char *const[]){"sh", "-c", text, NULL}, .on_line = tell, .on_exit = never};
    uv_loop_init(&loop);
    if (emp_process_start(&loop, &o, &p, NULL) < 0)
        return 1;
    printf("%d\n", emp_process_pid(p));
    fflush(stdout);
    return uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    emp_process_shim_main(argc, argv);
    if (argc > 2 && strcmp(argv[1], "victim") == 0)
        return argc > 3 ? victim_parent(argv[3]) : victim_inheritance();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_arrive_without_their_ends),
        cmocka_unit_test(a_line_in_pieces_is_one_line),
        cmocka_unit_test(a_long_line_is_cut_and_the_next_is_whole),
        cmocka_unit_test(a_flood_arrives_whole),
        cmocka_unit_test(the_last_words_are_heard_by_a_slow_loop),
        cmocka_unit_test(of_stderr_the_last_bytes_are_kept),
        cmocka_unit_test(standard_input_is_empty),
        cmocka_unit_test(the_programs_own_signal_is_told),
        cmocka_unit_test(many_run_side_by_side),
        cmocka_unit_test(the_environment_is_what_was_asked_for),
        place_test(the_program_is_found_by_the_childs_own_path),
        place_test(it_runs_where_it_is_told_to),
        cmocka_unit_test(it_gets_three_descriptors_and_no_signal_habits_of_ours),
        place_test(what_cannot_be_executed_is_told_apart),
        cmocka_unit_test(what_makes_no_sense_is_refused_at_once),
        cmocka_unit_test(asked_to_end_it_may_end_as_it_likes),
        cmocka_unit_test(who_does_not_listen_is_killed_after_the_grace),
        cmocka_unit_test(a_hard_kill_does_not_wait),
        cmocka_unit_test(a_kill_right_after_the_start_is_a_kill),
        cmocka_unit_test(a_stopped_program_wakes_up_to_end),
        cmocka_unit_test(the_whole_group_is_asked),
        cmocka_unit_test(children_left_behind_end_with_the_program),
        cmocka_unit_test(children_end_with_a_killed_program),
        cmocka_unit_test(a_dying_supervisor_takes_its_program_along),
        cmocka_unit_test(nobody_outlives_us),
        cmocka_unit_test(limits_are_set_for_the_program),
        place_test(a_file_that_grows_too_large_is_a_limit),
        cmocka_unit_test(too_much_processor_time_is_a_limit),
        cmocka_unit_test(memory_beyond_the_limit_is_not_given),
        cmocka_unit_test(too_much_output_ends_the_run),
        cmocka_unit_test(what_it_used_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
