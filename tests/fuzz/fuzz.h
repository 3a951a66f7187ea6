/* What a fuzz target and its driver know of each other. A target is one file fuzz_THING.c: it takes
 * any bytes, feeds them to a reader of ours, and holds what came of it against what must be true.
 * Aborting is a finding. driver.c runs it for a bounded time on mutated seeds, as part of
 * ./dev test; with -Dfuzzer=true libFuzzer takes the driver's place. */
#ifndef EMP_TESTS_FUZZ_H
#define EMP_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By libFuzzer's name. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words that lead deeper into this reader than chance would; ends with NULL. */
extern const char *const fuzz_words[];

/* To be counted up for every input that was taken: a target that takes none tests nothing. */
extern unsigned long fuzz_taken;

#define FUZZ_CHECK(condition)                                                         \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

#endif
