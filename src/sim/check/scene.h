/* A run's parts, for the files of check/: the plan, the system, who submits, what goes wrong, who
 * watches. */
#ifndef EMP_SIM_CHECK_SCENE_H
#define EMP_SIM_CHECK_SCENE_H

#include "sim/check/oracle.h"
#include "sim/check/plan.h"
#include "sim/system.h"

/* A submission as its client sees it. */
struct emp_sim_request {
    uint32_t work;
    bool answered;
    int code;
    emp_job_num job;
    emp_mono_ms sent_at;
};

struct emp_sim_scene;
struct emp_sim_fault_timer {
    struct emp_sim_scene *scene;
    enum emp_sim_fault fault;
    struct emp_sim_timer timer;
};

struct emp_sim_scene {
    struct emp_sim_plan plan;
    struct emp_sim_system system;
    struct emp_sim_oracle oracle;
    struct emp_random client_random, fault_random;
    bool calm; /* no more faults */
    /* client.c */
    struct emp_sim_request *requests; /* number: index + 1 */
    size_t request_count, request_cap;
    uint32_t submitted; /* works */
    uint64_t operator_requests;
    struct emp_sim_timer arrival, again, hasty;
    struct emp_random hasty_random;
    emp_job_num hasty_job;
    bool hasty_retries;
    /* faults.c */
    struct emp_sim_fault_timer faults[EMP_SIM_FAULT_COUNT];
    struct emp_sim_timer restart[EMP_SIM_MACHINES_MAX], heal[EMP_SIM_MACHINES_MAX], broker_back;
    bool drained[EMP_SIM_MACHINES_MAX];
    struct emp_sim_timer calm_down, poll;
    emp_mono_ms give_up_at; /* unless another job ends before */
    uint64_t ended;
};

/* behave.c: how jobs, fetches and deletions go. */
extern const struct emp_sim_behaviour emp_sim_check_behaviour; /* ctx: the scene */

/* client.c */
void emp_sim_client_start(struct emp_sim_scene *c);
void emp_sim_client_replied(struct emp_sim_scene *c, emp_request request,
                            const struct emp_reply *reply);
void emp_sim_client_cancel(struct emp_sim_scene *c);
void emp_sim_client_retry(struct emp_sim_scene *c);
bool emp_sim_client_is_done(const struct emp_sim_scene *c); /* nothing more will be submitted */
emp_request emp_sim_operator_request(struct emp_sim_scene *c);

/* faults.c */
void emp_sim_faults_start(struct emp_sim_scene *c);
void emp_sim_agent_back(struct emp_sim_scene *c, uint32_t agent, int64_t after_ms);

#endif
