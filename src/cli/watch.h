/* Following jobs to their end: event stream where the broker offers it, polling where it does not
 * or the stream breaks. */
#ifndef EMP_CLI_WATCH_H
#define EMP_CLI_WATCH_H

#include "cli/client.h"

/* Follows `count` jobs one after the other, with a progress bar on a terminal and a line per change
 * of status elsewhere, on stderr. Prints each job at its end on stdout (as JSON with --json), in
 * full when `full`. 0: all completed; 1: one did not; else EMP_E_*: no longer reachable, no such
 * job. A broker that restarts is waited for, up to a minute. */
int emp_watch_jobs(struct emp_client *c, const char *const *ids, uint32_t count, bool full,
                   struct emp_error *err);

#endif
