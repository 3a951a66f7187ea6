/* The driver's part of fuzz.h, where libFuzzer drives. */
#include "fuzz.h"

unsigned long fuzz_taken;
