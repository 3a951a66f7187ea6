/* Order of waiting jobs. Each job gets a tag once, on arrival; jobs leave in order of rank, smallest first, ties by number.
 *
 *   rank = tag − priority × point_ms
 *
 * Tags are start-time fair queueing (Goyal, Vin, Cheng 1996): customers of one tier share by weight. The virtual clock V is the largest tag
 * handed out of the queue so far. A flow (customer) that was idle starts at V; one with a backlog continues behind it, its jobs spaced by
 * cost/weight. So whoever floods the queue stands behind himself, not before others, and idle capacity is never held back.
 * A point of priority is worth point_ms of virtual time: waiting ages a job, so that a low priority is late but comes. What has
 * waited longer than its tier's patience goes before everything (oldest first): nothing starves. Pure. */
#ifndef EMP_POLICY_FAIR_H
#define EMP_POLICY_FAIR_H

#include "domain/settings.h"

struct emp_flow {
    int64_t next_tag; /* virtual ms: where this customer's next job stands */
};
/* Tag of a new job of the flow; advances the flow by run_ms / (weight × slots). slots: of the fleet, at least 1. */
int64_t emp_fair_tag(const struct emp_settings_fairness *s, struct emp_flow *flow, int64_t virtual_now, enum emp_tier tier,
                     int64_t run_ms, uint32_t slots);
int64_t emp_fair_rank(const struct emp_settings_fairness *s, int64_t tag, double priority); /* saturates */
bool emp_fair_overdue(const struct emp_settings_fairness *s, enum emp_tier tier, int64_t waited_ms);

#endif
