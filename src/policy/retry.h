/* What follows an attempt that did not complete: again, when, or never; and whose fault it was.
 * Pure; jitter comes from a given number. */
#ifndef EMP_POLICY_RETRY_H
#define EMP_POLICY_RETRY_H

#include "base/random.h"
#include "domain/settings.h"

/* Executions in total that the job may have: its max_retries, the configured one where not said
 * (-1), at least 1. */
uint32_t emp_retry_executions(const struct emp_settings_retry *s, const struct emp_job_spec *job);

/* ms to wait before the next attempt after `counted` counted ones: min(max, base × 2^(counted-1)) ×
 * (1 ± jitter). 0 when counted is 0. Draws one number of `r` unless counted is 0. */
int64_t emp_retry_backoff_ms(const struct emp_settings_retry *s, uint32_t counted,
                             struct emp_random *r);

/* Blame. A machine that fails jobs others complete is quarantined; a job that fails everywhere is
 * poison. Each failure is held against the machine only provisionally (suspicion): when the job
 * later completes elsewhere the machine is convicted of it, when the job fails on another machine
 * too, both are acquitted. Call emp_blame_failure for attempts that ended FAILED or TIMEOUT, and
 * for any other ending that the agent itself blames on its machine; REJECTED, CANCELLED and what
 * the machine handed back say nothing of it. */
struct emp_blame {
    uint32_t streak;      /* failures in a row with no success between, less those acquitted */
    uint32_t convictions; /* failures of jobs that completed elsewhere, or that the agent itself
                           * blamed on its machine; each success of the machine takes one away */
    uint32_t quarantines; /* so far, in a row: doubles the time; forgotten once failure_rate is
                             below 5% again */
    float failure_rate;   /* exponential average over attempts, 0 … 1; the newest weighs 1/8 */
    float peers_success;  /* 1 - mean failure_rate of the other machines that ran jobs of late; the
                           * core sets it before it asks for a  quarantine. 0: not known (there are
                           * none), then suspicion alone never weighs */
};
void emp_blame_success(struct emp_blame *b);
void emp_blame_failure(
    struct emp_blame *b,
    bool machine_fault); /* machine_fault: convicts at once, do not convict again */
void emp_blame_convict(struct emp_blame *b); /* a job it failed completed elsewhere */
void emp_blame_acquit(struct emp_blame *b);  /* a job it failed failed elsewhere too */
/* ms of quarantine due now, 0 for none; resets streak and convictions and counts the quarantine
 * when due. Due when convictions reach quarantine_failures, or the streak reaches twice that and is
 * longer than chance explains; in both cases only while the machine fails clearly more often than
 * its peers, so that bad jobs do not take the fleet down. */
int64_t emp_blame_quarantine_ms(const struct emp_settings_blame *s, struct emp_blame *b);

#endif
