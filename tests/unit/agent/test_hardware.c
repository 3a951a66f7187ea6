#include "agent/hardware.h"

#include "check.h"

#include <unistd.h>

static const char *gpus(struct place *p, const char *what, const char *library)
{
    struct emp_machine_facts f = {.gpu_count = 77};
    setenv("FAKE_NVML", what, 1);
    emp_hardware_find(&p->arena, &(struct emp_hardware_sources){.nvml = library}, &f);
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
    emp_hardware_find(&p->arena, &(struct emp_hardware_sources){.nvml = FAKE_NVML}, &f);
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
    emp_hardware_find(&p->arena, NULL, &f);
    assert_true(f.cpu_cores > 0 && f.cpu_cores <= (double)sysconf(_SC_NPROCESSORS_CONF));
    assert_true(f.ram_bytes > 1000000);
    double load = emp_hardware_cpu_load(f.cpu_cores);
    assert_true(load >= 0 && load <= 1);
    assert_true(emp_hardware_cpu_load(0) == 0);
}

static struct emp_machine_facts in_container(struct place *p)
{
    struct emp_machine_facts f = {0};
    emp_hardware_find(&p->arena, &(struct emp_hardware_sources){.nvml = "none", .cgroup = p->dir},
                      &f);
    return f;
}

static void a_container_has_what_it_may_use(void **state)
{
    struct place *p = *state;
    struct emp_machine_facts bare = in_container(p), f;
    place_write(p, "cpu.max", "50000 100000\n", 13);
    place_write(p, "memory.max", "5000000\n", 8);
    f = in_container(p);
    assert_true(f.cpu_cores == 0.5);
    assert_int_equal(f.ram_bytes, 5000000);
    place_write(p, "cpu.max", "max 100000\n", 11);
    place_write(p, "memory.max", "max\n", 4);
    f = in_container(p);
    assert_true(f.cpu_cores == bare.cpu_cores && f.ram_bytes == bare.ram_bytes);
    place_write(p, "cpu.max", "99999900000 100000\n", 19); // more than there is
    assert_true(in_container(p).cpu_cores == bare.cpu_cores);
}

static void an_older_container_as_well(void **state)
{
    struct place *p = *state;
    struct emp_machine_facts bare = in_container(p), f;
    place_write(p, "cpu/cpu.cfs_quota_us", "-1\n", 3);
    place_write(p, "cpu/cpu.cfs_period_us", "100000\n", 7);
    place_write(p, "memory/memory.limit_in_bytes", "9223372036854771712\n", 20);
    f = in_container(p);
    assert_true(f.cpu_cores == bare.cpu_cores && f.ram_bytes == bare.ram_bytes);
    place_write(p, "cpu/cpu.cfs_quota_us", "25000\n", 6);
    place_write(p, "memory/memory.limit_in_bytes", "7000000\n", 8);
    f = in_container(p);
    assert_true(f.cpu_cores == 0.25);
    assert_int_equal(f.ram_bytes, 7000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(gpus_are_found),
        PLACED(a_gpu_that_does_not_answer_is_left_out),
        PLACED(more_gpus_than_anybody_has_are_cut),
        PLACED(no_driver_or_library_means_no_gpus),
        PLACED(this_machine_has_something),
        PLACED(a_container_has_what_it_may_use),
        PLACED(an_older_container_as_well),
    };
    return cmocka_run_group_tests_name("agent/hardware", tests, NULL, NULL);
}
