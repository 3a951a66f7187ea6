/* How much work a job is, read out of its payload: the numbers that run times hang on, under the
 * names by which ComfyUI, Automatic1111, diffusers and the text servers know them, anywhere in it.
 * Steps (a text's tokens) add up; of images, pixels (width × height of one object) and frames the
 * largest counts. What is not understood is 0: then the job's like is guessed by its models. Pure,
 * any thread; about 1 ns a byte outside strings. */
#ifndef EMP_PROTO_JOB_WORK_H
#define EMP_PROTO_JOB_WORK_H

#include "domain/job.h"

/* `payload`: JSON that was parsed before, or empty. */
void emp_job_work_read(struct emp_str payload, struct emp_job_work *ret);

#endif
