/* emp sim replay: an incident again, from a broker's black box. */
#include "broker/replay.h"
#include "cli/sim.h"

static void report(const struct emp_replay_result *r)
{
    char first[EMP_ISO_MAX], last[EMP_ISO_MAX];
    emp_iso_format(r->first, first);
    emp_iso_format(r->last, last);
    printf("recorded by emp %s, %s to %s: %llu changes restored, %llu events, %llu actions, %llu "
           "assignments\n",
           r->version, first, last, (unsigned long long)r->restored, (unsigned long long)r->events,
           (unsigned long long)r->actions, (unsigned long long)r->decisions);
    if (r->ended[0])
        printf("the recording ended early: %s\n", r->ended);
    if (r->cut)
        printf("the file ends inside a block\n");
    if (r->unanswered)
        printf("the process ended inside the last step\n");
    if (r->differs) {
        emp_iso_format(r->differs_at, last);
        printf("event %llu (%s): answered otherwise than recorded\n",
               (unsigned long long)r->differs, last);
    } else {
        printf("every step as recorded\n");
    }
}

int emp_sim_replay(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_replay_result result;
    struct emp_replay_options o = {.out = stdout};
    int64_t job = 0;
    if (cli->options.arg_count != 2)
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "a recording is needed: emp sim replay DATA/blackbox/TIME.box");
    int r = emp_options_int(&cli->options, "job", 1, INT64_MAX, &job, err);
    if (r < 0)
        return r;
    o.job = (emp_job_num)job;
    if (emp_options_has(&cli->options, "quiet"))
        o.out = NULL;
    r = emp_replay(cli->options.args[1], &o, &result, err);
    if (r < 0)
        return r;
    report(&result);
    return result.differs ? 1 : 0;
}
