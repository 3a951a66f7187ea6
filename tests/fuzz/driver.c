/* Runs a target on its seeds (files of a folder), and on mutations of them: a bounded number, in a
 * bounded time. Each mutation is made from the seed of the run and its own number alone, both of
 * which are printed when the target dies, so it can be had again:
 *
 *   fuzz_json FOLDER                                          the seeds, then mutations
 *   EMP_TEST_SEED=7 EMP_FUZZ_INPUT=1234 fuzz_json FOLDER      that one mutation
 *   EMP_FUZZ_SECONDS=3600 fuzz_json FOLDER                    for an hour (then without a number)
 *   fuzz_json FILE                                            one input as it is
 *
 * Mutations know nothing of formats; words of the target, and pieces of other seeds, take them
 * beyond the first syntax error. Rejected: writing inputs that look new back to the corpus, for it
 * takes coverage to tell; that is what the build with libFuzzer is for. */
#include "fuzz.h"

#include "base/random.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUTS = 200000,
    SECONDS = 6,
    HANG_SECONDS = 30, /* no input may take so long */
    SEEDS_MAX = 256,
    INPUT_MAX = 1 << 16,
    MUTATIONS_MAX = 8,
};

unsigned long fuzz_taken;

struct text {
    uint8_t *bytes;
    size_t len;
};

static struct text seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t run_seed;
static volatile unsigned long input_number;

/* ---- dying ---- */

static void say_which(void)
{
    char line[128];
    int n = snprintf(line, sizeof line, "EMP_TEST_SEED=%llu EMP_FUZZ_INPUT=%lu repeats it\n",
                     (unsigned long long)run_seed, input_number);
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}

static void on_death(int sig)
{
    say_which();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Of the sanitizers, which end the program themselves. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_deaths(void)
{
    static const int deaths[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    bool sanitized = __sanitizer_set_death_callback != NULL;
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++)
        if (!sanitized || deaths[i] == SIGABRT || deaths[i] == SIGALRM)
            signal(deaths[i], on_death);
    if (sanitized)
        __sanitizer_set_death_callback(say_which);
}

/* ---- seeds ---- */

static struct text read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct text t = {malloc(INPUT_MAX), 0};
    if (!f || !t.bytes) {
        perror(path);
        exit(2);
    }
    t.len = fread(t.bytes, 1, INPUT_MAX, f);
    fclose(f);
    return t;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dot(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void read_seeds(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, no_dot, by_name);
    if (n <= 0) {
        fprintf(stderr, "%s holds no seeds\n", folder);
        exit(2);
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (seed_count < SEEDS_MAX)
            seeds[seed_count++] = read_file(path);
        free(entries[i]);
    }
    free(entries);
}

/* ---- mutations ---- */

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t len;
};

/* Puts `len` bytes in at `at`, over nothing. */
static void insert(struct input *in, size_t at, const void *bytes, size_t len)
{
    if (len > INPUT_MAX - in->len)
        len = INPUT_MAX - in->len;
    memmove(in->bytes + at + len, in->bytes + at, in->len - at);
    memcpy(in->bytes + at, bytes, len);
    in->len += len;
}

static void cut(struct input *in, size_t at, size_t len)
{
    if (len > in->len - at)
        len = in->len - at;
    memmove(in->bytes + at, in->bytes + at + len, in->len - at - len);
    in->len -= len;
}

static void put_word(struct input *in, struct emp_random *r, size_t at)
{
    static const char *const words[] = {
        "0",
        "-1",
        "1e999",
        "9223372036854775808",
        "18446744073709551616",
        "0.1",
        "-0",
        "null",
        "true",
        "\xff",
        "\xc3",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "%00",
        "..",
        "\\u0000",
        "\n",
        "\r\n",
        "\x7f",
        "{",
        "}",
        "[",
        "]",
        "\"",
    };
    size_t common = sizeof words / sizeof *words, own = 0;
    while (fuzz_words[own])
        own++;
    size_t pick = emp_random_below(r, common + 2 * own); // own words twice as often
    const char *word = pick < common ? words[pick] : fuzz_words[(pick - common) / 2];
    insert(in, at, word, strlen(word));
}

/* Some bytes again and again: what is nested, or long, goes beyond its limit. */
static void repeat(struct input *in, struct emp_random *r, size_t at, size_t len)
{
    uint8_t piece[256];
    size_t times = emp_random_below(r, 4) ? 1 : emp_random_below(r, 300);
    if (len > in->len - at)
        len = in->len - at;
    memcpy(piece, in->bytes + at, len);
    while (times--)
        insert(in, at, piece, len);
}

static void splice(struct input *in, struct emp_random *r, size_t at)
{
    const struct text *other = &seeds[emp_random_below(r, seed_count)];
    size_t from = emp_random_below(r, other->len + 1);
    insert(in, at, other->bytes + from, emp_random_below(r, other->len - from + 1));
}

static void mutate_once(struct input *in, struct emp_random *r)
{
    size_t at = emp_random_below(r, in->len + 1);
    size_t len = 1 + emp_random_below(r, emp_random_below(r, 4) ? 8 : 255);
    uint8_t byte = (uint8_t)emp_random_u64(r);
    switch (emp_random_below(r, 8)) {
    case 0:
        if (at < in->len)
            in->bytes[at] = byte;
        break;
    case 1:
        if (at < in->len)
            in->bytes[at] ^= (uint8_t)(1u << (byte & 7));
        break;
    case 2:
        cut(in, at, len);
        break;
    case 3:
        repeat(in, r, at, len);
        break;
    case 4:
        splice(in, r, at);
        break;
    case 5:
        in->len = emp_random_below(r, 8) ? in->len : at;
        break;
    default:
        put_word(in, r, at);
    }
}

static void make(struct input *in, unsigned long number)
{
    struct emp_random r;
    emp_random_init(&r, emp_mix64(run_seed) ^ number);
    const struct text *seed = &seeds[emp_random_below(&r, seed_count)];
    memcpy(in->bytes, seed->bytes, seed->len);
    in->len = seed->len;
    for (size_t n = 1 + emp_random_below(&r, 1 + emp_random_below(&r, MUTATIONS_MAX)); n > 0; n--)
        mutate_once(in, &r);
}

/* In memory of exactly its length, so that a sanitizer sees one byte too far. */
static void feed(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    if (!exact)
        abort();
    memcpy(exact, bytes, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

/* ---- the run ---- */

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_mutations(void)
{
    static struct input in;
    uint64_t seconds = number_from("EMP_FUZZ_SECONDS", SECONDS);
    unsigned long most = getenv("EMP_FUZZ_SECONDS") ? ULONG_MAX : INPUTS;
    double end = now_s() + (double)seconds;
    for (input_number = 1; input_number <= most; input_number++) {
        if (input_number % 64 == 1) {
            if (now_s() >= end)
                break;
            alarm(HANG_SECONDS);
        }
        make(&in, input_number);
        feed(in.bytes, in.len);
    }
    alarm(0);
}

int main(int argc, char **argv)
{
    struct stat st;
    if (argc != 2 || stat(argv[1], &st) != 0) {
        fprintf(stderr, "usage: %s FOLDER-OF-SEEDS | INPUT\n", argv[0]);
        return 2;
    }
    watch_deaths();
    if (!S_ISDIR(st.st_mode)) {
        struct text one = read_file(argv[1]);
        feed(one.bytes, one.len);
        free(one.bytes);
        return 0;
    }
    read_seeds(argv[1]);
    run_seed = number_from("EMP_TEST_SEED", (uint64_t)time(NULL));
    input_number = number_from("EMP_FUZZ_INPUT", 0);
    if (input_number) {
        static struct input in;
        make(&in, input_number);
        feed(in.bytes, in.len);
        return 0;
    }
    printf("1..2\n");
    for (size_t i = 0; i < seed_count; i++)
        feed(seeds[i].bytes, seeds[i].len);
    printf("%s 1 - seeds\n", fuzz_taken ? "ok" : "not ok");
    bool good = fuzz_taken > 0;
    printf("# EMP_TEST_SEED=%llu\n", (unsigned long long)run_seed);
    fflush(stdout);
    fuzz_taken = 0;
    run_mutations();
    printf("%s 2 - mutations\n# %lu inputs, of which %lu were taken\n",
           fuzz_taken ? "ok" : "not ok", input_number - 1, fuzz_taken);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    return good && fuzz_taken ? 0 : 1;
}
