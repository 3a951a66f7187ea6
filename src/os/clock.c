/* CLOCK_BOOTTIME, not CLOCK_MONOTONIC: a lease must not be stretched by the sleep of a laptop. */
#include "os/clock.h"

#include <time.h>

static int64_t emp_clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t); // cannot fail for these clocks
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void emp_now_read(struct emp_now *ret)
{
    ret->mono = emp_mono_now();
    ret->wall = emp_wall_now();
}

emp_mono_ms emp_mono_now(void)
{
    return emp_clock_ns(CLOCK_BOOTTIME) / 1000000;
}

emp_wall_ms emp_wall_now(void)
{
    return emp_clock_ns(CLOCK_REALTIME) / 1000000;
}

int64_t emp_mono_us(void)
{
    return emp_clock_ns(CLOCK_BOOTTIME) / 1000;
}
