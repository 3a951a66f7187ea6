#include "agent/hardware.h"

#include "check.h"

#include <unistd.h>

static const char *gpus(struct place *p, const char *what, const char *library)
{
    struct emp_machine_facts f = {.gpu_count = 77};
    setenv("FAKE_NVML", what, 1);
    emp_hardware_find(&p->arena, library, &f);
    const char *text = "";
    for (uint32_t i = 0; i < f.gpu_count; i++)
        text = emp_arena_printf(&p->arena, "%s[%.*s %lld]", text, EMP_STR_FMT(f.gpus[i].model),
                                (long long)f.gpus[i].memory_bytes);
    return text;
}

static void gpus_are_found(void **state)
{
    struct place *p = *state;
    assert_string_equal(
        gpus(p, "NVIDIA GeForce RTX 4090:25769803776,NVIDIA L4:24152899584", FAKE_NVML),
        "[NVIDIA GeForce RTX 4090 25769803776][NVIDIA L4 24152899584]");
}

static void a_gpu_that_does_not_answer_is_left_out(void **state)
{
    assert_string_equal(gpus(*state, "A:1000,broken,B:2000", FAKE_NVML), "[A 1000][B 2000]");
}

static void more_gpus_than_anybody_has_are_cut(void **state)
{
    struct place *p = *state;
    struct emp_machine_facts f = {0};
    const char *many = "A:1";
    for (int i = 0; i < EMP_MACHINE_GPUS_MAX + 10; i++)
        many = emp_arena_printf(&p->arena, "%s,A:1", many);
    setenv("FAKE_NVML", many, 1);
    emp_hardware_find(&p->arena, FAKE_NVML, &f);
    assert_int_equal(f.gpu_count, EMP_MACHINE_GPUS_MAX);
}

static void no_driver_or_library_means_no_gpus(void **state)
{
    assert_string_equal(gpus(*state, "none", FAKE_NVML), "");
    assert_string_equal(gpus(*state, "A:1", "libnot-there.so.1"), "");
    assert_string_equal(gpus(*state, "A:1", "libm.so.6"), ""); // a library without the functions
    assert_string_equal(gpus(*state, "", FAKE_NVML), "");      // a driver without devices
}

static void this_machine_has_something(void **state)
{
    struct place *p = *state;
    struct emp_machine_facts f = {0};
    emp_hardware_find(&p->arena, "libnot-there.so.1", &f);
    assert_true(f.cpu_cores > 0 && f.cpu_cores <= (double)sysconf(_SC_NPROCESSORS_CONF));
    assert_true(f.ram_bytes > 1000000);
    double load = emp_hardware_cpu_load(f.cpu_cores);
    assert_true(load >= 0 && load <= 1);
    assert_true(emp_hardware_cpu_load(0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(gpus_are_found),
        PLACED(a_gpu_that_does_not_answer_is_left_out),
        PLACED(more_gpus_than_anybody_has_are_cut),
        PLACED(no_driver_or_library_means_no_gpus),
        PLACED(this_machine_has_something),
    };
    return cmocka_run_group_tests_name("agent/hardware", tests, NULL, NULL);
}
