/* Order of waiting jobs. Each job gets a tag once, on arrival; jobs leave in order of rank,
 * smallest first, ties by number.
 *
 *   rank = tag − priority × point_ms
 *
 * Tags are start-time fair queueing (Goyal, Vin, Cheng 1996): customers of one tier share by
 * weight. The virtual clock V follows the tags handed out of the queue (emp_fair_clock). A flow
 * that was idle starts at V; one with a backlog continues behind it, its jobs spaced by
 * cost/weight. So whoever floods the queue stands behind himself, not before others, and idle
 * capacity is never held back. A point of priority is worth point_ms of virtual time: waiting ages
 * a job, so that a low priority is late but comes. What has waited longer than its tier's patience
 * goes before everything (oldest first): nothing starves. Pure.
 *
 * What the caller decides: a flow is a customer's jobs of one priority, so that urgent work is not
 * spaced behind the same customer's own backlog of less urgent work. In overload all of a flood is
 * past its patience: the caller lets patience have at most every other turn, or fairness ends
 * there. After a restart V is the smallest tag still waiting (the largest known when none waits),
 * and a flow continues behind its own largest tag. */
#ifndef EMP_POLICY_FAIR_H
#define EMP_POLICY_FAIR_H

#include "domain/settings.h"

struct emp_flow {
    int64_t next_tag; /* virtual ms: where this flow's next job stands */
    double fraction;  /* of a virtual ms beyond next_tag, [0, 1): short jobs on a large fleet are
                         spaced by less than one */
};
/* Tag of a new job of the flow; advances the flow by run_ms / (weight × slots). slots: of the
 * fleet, at least 1. */
int64_t emp_fair_tag(const struct emp_settings_fairness *s, struct emp_flow *flow,
                     int64_t virtual_now, enum emp_tier tier, int64_t run_ms, uint32_t slots);
/* V after a job with this tag was handed out: towards the tag, but by no more than the job's own
 * spacing, and never back. A job may run early because a machine that suits only it was idle; were
 * V to jump to its tag, newcomers would start behind everybody's backlog. */
int64_t emp_fair_clock(const struct emp_settings_fairness *s, int64_t virtual_now, int64_t tag,
                       enum emp_tier tier, int64_t run_ms, uint32_t slots);
int64_t emp_fair_rank(const struct emp_settings_fairness *s, int64_t tag,
                      double priority); /* saturates; NaN counts as 0 */
bool emp_fair_overdue(const struct emp_settings_fairness *s, enum emp_tier tier, int64_t waited_ms);

#endif
