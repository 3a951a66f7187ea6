/* Clocks. Only shells read them; brains are told. Any thread; never blocks; never fails (a machine
 * without them is no machine). */
#ifndef EMP_OS_CLOCK_H
#define EMP_OS_CLOCK_H

#include "base/time.h"

void emp_now_read(
    struct emp_now *ret); /* both scales of this instant; mono goes on while the machine sleeps */
emp_mono_ms emp_mono_now(void);
emp_wall_ms emp_wall_now(void);
int64_t emp_mono_us(void); /* for measuring; microseconds of the same scale as emp_mono_now */

#endif
