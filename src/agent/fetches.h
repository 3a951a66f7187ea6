/* The running transfers by model, for an agent's FETCH and FETCH_CANCEL. On the loop's thread. */
#ifndef EMP_AGENT_FETCHES_H
#define EMP_AGENT_FETCHES_H

#include "agent/transfer.h"
#include "machine/machine.h"

struct emp_fetch; /* one of them */

struct emp_fetches {
    struct emp_transfer_options o;
    /* FETCH_PROGRESS, FETCH_DONE; never from inside a function called here. */
    void (*event)(void *arg, const struct emp_machine_event *e);
    void *arg;
    struct emp_fetch *first;
};

/* `model` is borrowed until its FETCH_DONE has returned. */
void emp_fetches_start(struct emp_fetches *f, const struct emp_model *model);
void emp_fetches_cancel(struct emp_fetches *f, struct emp_str model);
void emp_fetches_cancel_all(struct emp_fetches *f);
void emp_fetches_report(
    struct emp_fetches *f); /* how far all are: also where nothing comes any more */

#endif
