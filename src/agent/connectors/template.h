/* The argv template of a command service, compiled once and filled in per job. Never a shell: each
 * word of the template becomes exactly one argument, whatever the job's values hold.
 *
 *   - {payload.KEY}: a string or a number of the job's payload; dots go deeper:
 *     {payload.size.width}
 *   - {payload.KEY=TEXT}: TEXT where the payload has no such member
 *   - {payload.KEY:any}, {payload.KEY:any=TEXT}: the value may begin with '-' or '@'
 *   - {input.NAME}: path of the input file NAME (the payload's "inputs")
 *   - {output.NAME}: path of an output file that the command must write
 *   - {outputs}: directory for any number of output files
 *   - {model.NAME}: path of a model of the job; {models.0}: of the first, as the job orders them
 *   - {model_dir}: directory of all models
 *   - {payload_file}: path of a file with the whole payload, as JSON
 *   - {scratch}: directory of the run, where the command is started; removed afterwards
 *   - {job_id}, {attempt}
 *   - {{ and }}: braces
 *
 * A word that begins with a payload's value is refused when that value begins with '-' or '@'
 * (options, and "@file" as many programs read it), unless the template says ":any". Where something
 * else stands before it ("--size={payload.size}"), anything may follow.
 *
 * Compiling reports what is wrong with which word. Compiled templates are constant: any thread. */
#ifndef EMP_AGENT_CONNECTORS_TEMPLATE_H
#define EMP_AGENT_CONNECTORS_TEMPLATE_H

#include "agent/connectors/connector.h"
#include "base/arena.h"
#include "proto/json.h"

enum { EMP_TEMPLATE_VALUE_MAX = 64 * 1024 }; /* bytes of one value put into an argument */

struct emp_template;

/* In the arena. 0, or EMP_E_INVALID with the word and the reason. */
int emp_template_compile(struct emp_arena *a, const struct emp_str *argv, uint32_t argc,
                         struct emp_template **ret, struct emp_error *err);

/* What a job brings. */
struct emp_template_values {
    const struct emp_run_task *task;
    const struct emp_json *payload; /* an object */
    const char *input_dir;          /* absolute */
    const char *output_dir;
    const char *payload_file;
    const struct emp_str *inputs; /* names of files in input_dir */
    uint32_t input_count;
};

/* NULL-terminated argv in the arena. 0, or EMP_E_JOB_REJECTED: what the job lacks or may not say.
 */
int emp_template_fill(const struct emp_template *t, const struct emp_template_values *v,
                      struct emp_arena *a, const char *const **ret_argv, struct emp_error *err);

/* Names of all {output.NAME}, each once. */
uint32_t emp_template_outputs(const struct emp_template *t, const struct emp_str **ret);
bool emp_template_wants_payload_file(const struct emp_template *t);

#endif
