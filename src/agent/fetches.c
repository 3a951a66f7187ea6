#include "agent/fetches.h"

#include "os/log.h"

#include <stdlib.h>

struct emp_fetch {
    struct emp_fetch *next;
    struct emp_fetches *all;
    const struct emp_model *model;
    struct emp_transfer *transfer;
};

static void on_progress(void *arg, struct emp_str model, int64_t bytes)
{
    struct emp_fetch *f = arg;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_FETCH_PROGRESS,
                                  .fetch_progress = {.model = model, .bytes = bytes}};
    f->all->event(f->all->arg, &e);
}

static void on_done(void *arg, const struct emp_transfer_end *end)
{
    struct emp_fetch *f = arg, **at = &f->all->first;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_FETCH_DONE,
                                  .fetch_done = {.model = end->model,
                                                 .code = end->code,
                                                 .text = emp_str_z(end->text),
                                                 .machine_fault = end->machine_fault,
                                                 .kept_bytes = end->kept_bytes}};
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (end->code == 0)
        emp_log(EMP_LOG_INFO, "fetch", "model \"%.*s\" is here, whole and verified",
                EMP_STR_FMT(end->model));
    else if (end->code != EMP_E_CANCELLED)
        emp_log(EMP_LOG_WARN, "fetch", "%s", end->text);
    f->all->event(f->all->arg, &e);
    free(f);
}

void emp_fetches_start(struct emp_fetches *all, const struct emp_model *model)
{
    struct emp_fetch *f = calloc(1, sizeof *f);
    struct emp_transfer_sink sink = {.arg = f, .progress = on_progress, .done = on_done};

    if (f == NULL)
        abort();
    f->all = all;
    f->model = model;
    f->next = all->first;
    all->first = f;
    f->transfer = emp_transfer_start(&all->o, model, &sink);
}

void emp_fetches_cancel(struct emp_fetches *all, struct emp_str model)
{
    for (struct emp_fetch *f = all->first; f; f = f->next)
        if (emp_str_eq(f->model->name, model))
            emp_transfer_cancel(f->transfer);
}

void emp_fetches_cancel_all(struct emp_fetches *all)
{
    for (struct emp_fetch *f = all->first; f; f = f->next)
        emp_transfer_cancel(f->transfer);
}

void emp_fetches_report(struct emp_fetches *all)
{
    for (struct emp_fetch *f = all->first; f; f = f->next)
        on_progress(f, f->model->name, emp_transfer_bytes(f->transfer));
}
