/* seeds FIRST LAST: runs seeds until one violates something, with the oracle alone watching (the
 * brains' own checks are left out; their asserts are not). For tools/mutants.sh, which links it
 * with a planted bug. Status 1: something was found, and "SEED TEXT" is printed. */
#include "sim/check/check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile uint64_t current;

/* An assertion or a crash is a find, too. Async-signal-safe. */
static void died(int signal_number)
{
    char text[64];
    size_t at = sizeof text;
    static const char what[] = " the program died: an assertion, or worse\n";
    uint64_t n = current;
    (void)signal_number;
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    if (write(STDOUT_FILENO, text + at, sizeof text - at) < 0 ||
        write(STDOUT_FILENO, what, sizeof what - 1) < 0)
        _exit(2);
    _exit(1);
}

int main(int argc, char **argv)
{
    struct emp_sim_check_result r;
    if (argc != 3) {
        fprintf(stderr, "usage: %s FIRST LAST\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, died);
    signal(SIGSEGV, died);
    uint64_t last = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = strtoull(argv[1], NULL, 10); seed <= last; seed++) {
        current = seed;
        emp_sim_check_seed(seed, &(struct emp_sim_check_options){.outside_only = true}, &r);
        if (r.violation[0]) {
            printf("%llu %s\n", (unsigned long long)seed, r.violation);
            return 1;
        }
    }
    return 0;
}
