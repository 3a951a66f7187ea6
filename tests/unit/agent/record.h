/* A run of a connector, written down as it is told: one line per callback. So a test reads as a
 * story:
 *
 *   started
 *   progress 50 half way
 *   completed {"stdout":"x"} out/a.txt
 *   failed job_failed retryable: exited with status 3 */
#ifndef EMP_TEST_AGENT_RECORD_H
#define EMP_TEST_AGENT_RECORD_H

#include "agent/connectors/connector.h"
#include "check.h"

struct record {
    struct place *place;
    struct emp_connector *connector;
    struct emp_run_task task; /* fill it before record_start */
    struct emp_run *run;
    struct emp_buf story;
    bool done;
    int64_t run_ms;
    char *out;            /* content of the first output; from the place's arena */
    struct emp_error err; /* of a start that failed */
};

void record_init(struct record *r, struct place *p, struct emp_connector *c, const char *service,
                 const char *payload);
int record_start(struct record *r);       /* what the connector's start() said */
const char *record_end(struct record *r); /* waits for the end; the story */
bool record_said(const struct record *r, const char *part);

void connector_close(struct place *p, struct emp_connector *c);

#endif
