/* Words of states, and actions as text. */
#include "machine/internal.h"

static const char *const attempt_words[EMP_ATTEMPT_STATE_COUNT] = {
#define EMP_ATTEMPT_STATE(name, word, leased, running) [EMP_ATTEMPT_##name] = word,
#include "machine/states.def"
};
static const char *const copy_words[EMP_COPY_STATE_COUNT] = {
#define EMP_COPY_STATE(name, word) [EMP_COPY_##name] = word,
#include "machine/states.def"
};
static const bool leased_states[EMP_ATTEMPT_STATE_COUNT] = {
#define EMP_ATTEMPT_STATE(name, word, leased, running) [EMP_ATTEMPT_##name] = leased,
#include "machine/states.def"
};
static const bool running_states[EMP_ATTEMPT_STATE_COUNT] = {
#define EMP_ATTEMPT_STATE(name, word, leased, running) [EMP_ATTEMPT_##name] = running,
#include "machine/states.def"
};

const char *emp_attempt_state_word(enum emp_attempt_state s)
{
    return attempt_words[s];
}

const char *emp_copy_state_word(enum emp_copy_state s)
{
    return copy_words[s];
}

bool emp_attempt_state_leased(enum emp_attempt_state s)
{
    return leased_states[s];
}

bool emp_attempt_state_running(enum emp_attempt_state s)
{
    return running_states[s];
}

const char *emp_stop_reason_word(enum emp_stop_reason r)
{
    static const char *const words[EMP_STOP_COUNT] = {[EMP_STOP_CANCELLED] = "cancelled",
                                                      [EMP_STOP_TIMEOUT] = "timeout",
                                                      [EMP_STOP_LEAVING] = "leaving"};
    return words[r];
}

/* ---------------------------------------------------------------- messages */

static void copies(const struct emp_copy *c, uint32_t count, struct emp_buf *out)
{
    for (uint32_t i = 0; i < count; i++)
        emp_buf_printf(out, " %.*s=%s%s", EMP_STR_FMT(c[i].model),
                       emp_residency_word(c[i].residency), c[i].in_use ? "*" : "");
}

static void hello(const struct emp_message *m, struct emp_buf *out)
{
    emp_buf_printf(out, " slots %u free %lld", m->hello.facts.slots,
                   (long long)m->hello.facts.disk_free_bytes);
    copies(m->hello.copies, m->hello.copy_count, out);
    for (uint32_t i = 0; i < m->hello.held_count; i++) {
        const struct emp_held *h = &m->hello.held[i];
        emp_buf_printf(out, " held %llu.%u%s%s", (unsigned long long)h->job, h->attempt,
                       h->started ? " started" : "", h->finished ? " finished" : "");
    }
    if (m->hello.draining)
        emp_buf_addz(out, " draining");
}

static void beat(const struct emp_message *m, struct emp_buf *out)
{
    emp_buf_printf(out, " free %lld left %lld", (long long)m->beat.disk_free_bytes,
                   (long long)m->beat.fetch_left_bytes);
}

static void started(const struct emp_message *m, struct emp_buf *out)
{
    emp_buf_printf(out, " %llu.%u fetched %lld in %lld ms", (unsigned long long)m->started.job,
                   m->started.attempt, (long long)m->started.bytes_fetched,
                   (long long)m->started.fetch_ms);
}

static void progress(const struct emp_message *m, struct emp_buf *out)
{
    emp_buf_printf(out, " %llu.%u %.0f%% %.*s", (unsigned long long)m->progress.job,
                   m->progress.attempt, (double)m->progress.percent, EMP_STR_FMT(m->progress.text));
}

static void finished(const struct emp_message *m, struct emp_buf *out)
{
    const struct emp_message_finished *f = &m->finished;
    emp_buf_printf(out, " %llu.%u", (unsigned long long)f->job, f->attempt);
    if (f->error_code)
        emp_buf_printf(out, " %s%s%s: %.*s", emp_error_name(f->error_code),
                       f->retryable ? "" : " final", f->machine_fault ? " machine" : "",
                       EMP_STR_FMT(f->error));
    else
        emp_buf_printf(out, " %.*s", EMP_STR_FMT(f->result));
    for (uint32_t i = 0; i < f->output_count; i++)
        emp_buf_printf(out, " +%.*s", EMP_STR_FMT(f->outputs[i].name));
}

static void copies_message(const struct emp_message *m, struct emp_buf *out)
{
    emp_buf_printf(out, " free %lld", (long long)m->copies.disk_free_bytes);
    copies(m->copies.copies, m->copies.copy_count, out);
}

static void goodbye(const struct emp_message *m, struct emp_buf *out)
{
    emp_buf_printf(out, " %s: %.*s", m->goodbye.draining ? "draining" : "leaving",
                   EMP_STR_FMT(m->goodbye.reason));
}

static void send(const struct emp_machine_action *a, struct emp_buf *out)
{
    static void (*const formats[EMP_MESSAGE_COUNT])(const struct emp_message *,
                                                    struct emp_buf *) = {
        [EMP_MESSAGE_HELLO] = hello,        [EMP_MESSAGE_BEAT] = beat,
        [EMP_MESSAGE_STARTED] = started,    [EMP_MESSAGE_PROGRESS] = progress,
        [EMP_MESSAGE_COMPLETED] = finished, [EMP_MESSAGE_FAILED] = finished,
        [EMP_MESSAGE_RETURNED] = finished,  [EMP_MESSAGE_COPIES] = copies_message,
        [EMP_MESSAGE_GOODBYE] = goodbye,
    };
    emp_buf_printf(out, " %s", emp_message_word(a->send.kind));
    if (formats[a->send.kind])
        formats[a->send.kind](&a->send, out);
}

/* ---------------------------------------------------------------- actions */

static void fetch(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %.*s %lld", EMP_STR_FMT(a->fetch.model->name),
                   (long long)a->fetch.model->bytes);
    if (a->fetch.kept_bytes)
        emp_buf_printf(out, " from %lld", (long long)a->fetch.kept_bytes);
}

static void fetch_cancel(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %.*s", EMP_STR_FMT(a->fetch_cancel.model));
}

static void del(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %.*s%s", EMP_STR_FMT(a->del.model), a->del.half ? " half" : "");
}

static void run(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %llu.%u %.*s", (unsigned long long)a->run->job, a->run->attempt,
                   EMP_STR_FMT(a->run->service));
}

static void stop(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %llu.%u %s", (unsigned long long)a->stop.job, a->stop.attempt,
                   emp_stop_reason_word(a->stop.reason));
}

static void load(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %.*s %s", EMP_STR_FMT(a->load.model->name),
                   emp_residency_word(a->load.to));
}

static void load_cancel(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %.*s", EMP_STR_FMT(a->load_cancel.model));
}

static void lease(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %llu.%u", (unsigned long long)a->lease.job, a->lease.attempt);
}

static void reconnect(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %.*s", EMP_STR_FMT(a->reconnect.reason));
}

static void leave(const struct emp_machine_action *a, struct emp_buf *out)
{
    emp_buf_printf(out, " %s: %.*s", a->exit.code ? emp_error_name(a->exit.code) : "0",
                   EMP_STR_FMT(a->exit.reason));
}

void emp_machine_action_format(const struct emp_machine_action *a, struct emp_buf *out)
{
    static const struct {
        const char *word;
        void (*format)(const struct emp_machine_action *, struct emp_buf *);
    } kinds[EMP_MACHINE_ACTION_COUNT] = {
        [EMP_MACHINE_SEND] = {"send", send},
        [EMP_MACHINE_FETCH] = {"fetch", fetch},
        [EMP_MACHINE_FETCH_CANCEL] = {"fetch_cancel", fetch_cancel},
        [EMP_MACHINE_DELETE] = {"delete", del},
        [EMP_MACHINE_RUN] = {"run", run},
        [EMP_MACHINE_STOP] = {"stop", stop},
        [EMP_MACHINE_WATCHDOG] = {"watchdog", lease},
        [EMP_MACHINE_LOAD] = {"load", load},
        [EMP_MACHINE_LOAD_CANCEL] = {"load_cancel", load_cancel},
        [EMP_MACHINE_FORGET] = {"forget", lease},
        [EMP_MACHINE_RECONNECT] = {"reconnect", reconnect},
        [EMP_MACHINE_EXIT] = {"exit", leave},
    };
    emp_buf_addz(out, kinds[a->kind].word);
    kinds[a->kind].format(a, out);
}
