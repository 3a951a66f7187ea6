/* Numbers that run times hang on, out of payloads as clients write them. */
#include "base/arena.h"
#include "proto/job_json.h"
#include "proto/job_work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void expect(const char *payload, struct emp_job_work is)
{
    struct emp_job_work w;
    emp_job_work_read(emp_str_z(payload), &w);
    if (w.steps != is.steps || w.pixels != is.pixels || w.images != is.images ||
        w.frames != is.frames)
        fail_msg("%s: steps %g, pixels %g, images %g, frames %g", payload, (double)w.steps,
                 (double)w.pixels, (double)w.images, (double)w.frames);
}

static void what_clients_write(void **state)
{
    (void)state;
    expect("", (struct emp_job_work){0});
    expect("{}", (struct emp_job_work){0});
    expect("{\"steps\":30,\"width\":1024,\"height\":768,\"batch_size\":4}",
           (struct emp_job_work){30, 1024 * 768, 4, 0});
    expect("{ \"num_inference_steps\" : 2.5e1 ,\n\"num_images\":2 }",
           (struct emp_job_work){25, 0, 2, 0});
    expect("{\"prompt\":\"x\",\"options\":{\"num_predict\":200}}",
           (struct emp_job_work){200, 0, 0, 0});
    expect("{\"num_frames\":81}", (struct emp_job_work){0, 0, 0, 81});
}

/* A graph of nodes: samplers add up, links ([\"4\",0]) are no numbers, and a picture that is
 * scaled later counts by its largest. */
static void a_workflow(void **state)
{
    (void)state;
    expect("{\"workflow\":{"
           "\"3\":{\"class_type\":\"KSampler\",\"inputs\":{\"steps\":20,\"model\":[\"4\",0]}},"
           "\"5\":{\"class_type\":\"EmptyLatentImage\",\"inputs\":{\"width\":512,\"height\":512,"
           "\"batch_size\":2}},"
           "\"6\":{\"inputs\":{\"width\":[\"5\",0],\"height\":2000}},"
           "\"7\":{\"class_type\":\"LatentUpscale\",\"inputs\":{\"width\":1024,\"height\":1024}},"
           "\"8\":{\"class_type\":\"KSampler\",\"inputs\":{\"steps\":10}}}}",
           (struct emp_job_work){30, 1024 * 1024, 2, 0});
    expect("{\"a\":{\"width\":848,\"height\":480,\"length\":73,\"batch_size\":1}}",
           (struct emp_job_work){0, 848 * 480, 1, 73});
    expect("{\"length\":73}", (struct emp_job_work){0});
}

static void what_is_no_number_of_work(void **state)
{
    (void)state;
    expect("{\"text\":\"\\\"steps\\\":30\"}", (struct emp_job_work){0});
    expect("{\"a\\\\\":1,\"steps\":5}", (struct emp_job_work){5, 0, 0, 0});
    expect("{\"text\":\"steps\",\"n\":[\"steps\",30]}", (struct emp_job_work){0});
    expect("{\"steps\":\"30\",\"width\":-5,\"height\":-5,\"images\":[1,2],\"frames\":1e300}",
           (struct emp_job_work){0});
    expect("{\"steps\":1e9,\"a\":{\"steps\":1e9}}", (struct emp_job_work){1e9F, 0, 0, 0});
}

/* Whatever bytes: nothing outside them is read (each is alone in its memory, for ASan). */
static void cut_anywhere(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\\\"\":{\"steps\": 12.5e0,\"width\":3,\"height\":4},\"x\":\"y\"}";
    for (size_t from = 0; from < sizeof text - 1; from++)
        for (size_t to = from; to < sizeof text; to++) {
            char *cut = malloc(to - from + 1);
            struct emp_job_work w;
            memcpy(cut, text + from, to - from);
            emp_job_work_read((struct emp_str){cut, (uint32_t)(to - from)}, &w);
            assert_true(w.steps >= 0 && w.steps <= 125 && w.pixels >= 0 && w.pixels <= 12);
            free(cut);
        }
}

static void a_submission_carries_it(void **state)
{
    (void)state;
    static const char text[] = "{\"service_required\":\"comfyui\",\"ctx\":{\"steps\":9},"
                               "\"payload\":{\"steps\":40,\"size\":{\"width\":8,\"height\":16}}}";
    struct emp_arena a;
    struct emp_job_spec spec;
    struct emp_error err;
    emp_arena_init(&a, 0);
    assert_int_equal(emp_job_spec_parse(&a, text, sizeof text - 1, &spec, NULL, &err), 0);
    assert_true(spec.work.steps == 40 && spec.work.pixels == 128);
    emp_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_write),        cmocka_unit_test(a_workflow),
        cmocka_unit_test(what_is_no_number_of_work), cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(a_submission_carries_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
