/* The arena against a table of what was asked for: nothing overlaps, content stays, fresh memory is
 * zero, the count of held bytes is true. */
#include "base/arena.h"

#include "seeded.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIVE_MAX = 64 };

struct piece {
    unsigned char *p;
    size_t bytes;
    unsigned char fill;
};

static size_t random_size(struct emp_random *r)
{
    switch (emp_random_below(r, 6)) {
    case 0:
        return emp_random_below(r, 3);
    case 1:
        return 4090 + emp_random_below(r, 12); /* about the border of small and large */
    case 2:
        return emp_random_below(r, 300000);
    default:
        return emp_random_below(r, 200);
    }
}

static bool all_bytes(const unsigned char *p, size_t from, size_t to, unsigned char is)
{
    for (size_t i = from; i < to; i++)
        if (p[i] != is)
            return false;
    return true;
}

static void take(struct emp_arena *a, struct emp_random *r, struct piece *piece)
{
    piece->bytes = random_size(r);
    piece->p = emp_arena_alloc(a, piece->bytes);
    piece->fill = (unsigned char)emp_random_u64(r);
    assert_int_equal((uintptr_t)piece->p % _Alignof(max_align_t), 0);
    assert_true(all_bytes(piece->p, 0, piece->bytes, 0));
    memset(piece->p, piece->fill, piece->bytes);
}

static void resize(struct emp_arena *a, struct emp_random *r, struct piece *piece)
{
    size_t bytes = random_size(r);
    size_t kept = bytes < piece->bytes ? bytes : piece->bytes;
    piece->p = emp_arena_realloc(a, piece->p, piece->bytes, bytes);
    assert_true(all_bytes(piece->p, 0, kept, piece->fill));
    assert_true(all_bytes(piece->p, kept, bytes, 0));
    piece->bytes = bytes;
    memset(piece->p, piece->fill, bytes);
}

static void model(struct emp_random *r)
{
    struct emp_arena a;
    struct piece live[LIVE_MAX] = {0};
    emp_arena_init(&a, emp_random_below(r, 3) * 5000);
    for (int step = 0; step < 2000; step++) {
        struct piece *piece = &live[emp_random_below(r, LIVE_MAX)];
        if (piece->p)
            assert_true(all_bytes(piece->p, 0, piece->bytes, piece->fill));
        if (!piece->p)
            take(&a, r, piece);
        else if (emp_random_below(r, 3))
            resize(&a, r, piece);
        else {
            emp_arena_give_back(&a, piece->p, piece->bytes);
            *piece = (struct piece){0};
        }
        if (emp_random_below(r, 500) == 0) {
            emp_arena_reset(&a);
            memset(live, 0, sizeof live);
            assert_true(a.total_bytes <= a.block_bytes);
        }
    }
    for (int i = 0; i < LIVE_MAX; i++)
        if (live[i].p)
            assert_true(all_bytes(live[i].p, 0, live[i].bytes, live[i].fill));
    emp_arena_release(&a);
    assert_int_equal(a.total_bytes, 0);
}

static void random_operations_keep_content(void **state)
{
    (void)state;
    each_seed("arena", model);
}

static void large_growth_leaves_nothing_behind(void **state)
{
    (void)state;
    struct emp_arena a;
    emp_arena_init(&a, 0);
    size_t bytes = 4096;
    unsigned char *p = emp_arena_alloc(&a, bytes);
    for (; bytes < 16 << 20; bytes *= 2)
        p = emp_arena_realloc(&a, p, bytes, bytes * 2);
    assert_int_equal(a.total_bytes, bytes);
    p = emp_arena_realloc(&a, p, bytes, 10);
    assert_int_equal(a.total_bytes, a.block_bytes);
    emp_arena_release(&a);
}

static void last_small_one_grows_in_place(void **state)
{
    (void)state;
    struct emp_arena a;
    emp_arena_init(&a, 0);
    char *p = emp_arena_alloc(&a, 10);
    assert_ptr_equal(emp_arena_realloc(&a, p, 10, 1000), p);
    char *q = emp_arena_alloc(&a, 1);
    assert_ptr_not_equal(emp_arena_realloc(&a, p, 1000, 1001), p);
    assert_ptr_equal(emp_arena_realloc(&a, q, 1, 0), q);
    emp_arena_release(&a);
}

static void reserve_makes_room(void **state)
{
    (void)state;
    struct emp_arena a;
    struct {
        int *items;
        uint32_t count, cap;
    } v = {0};
    emp_arena_init(&a, 0);
    for (int i = 0; i < 100000; i++) {
        emp_arena_reserve(&a, v.items, v.count, v.cap);
        v.items[v.count++] = i;
    }
    for (int i = 0; i < 100000; i++)
        assert_int_equal(v.items[i], i);
    assert_true(a.total_bytes < 3 * 100000 * sizeof(int));
    emp_arena_release(&a);
}

static void reach_makes_room_of_zeros(void **state)
{
    (void)state;
    struct emp_arena a;
    struct {
        int *items;
        size_t cap;
    } v = {0};
    emp_arena_init(&a, 0);
    for (size_t i = 0; i < 100000; i = i * 3 + 1) {
        emp_arena_reach(&a, v.items, i, v.cap, 8);
        assert_true(v.cap > i && v.cap % 8 == 0 && (v.cap == 8 || v.cap <= 2 * i));
        assert_int_equal(v.items[i], 0);
        assert_int_equal(v.items[v.cap - 1], 0);
        memset(v.items, 0xff, (i + 1) * sizeof *v.items);
        for (size_t k = i + 1; k < v.cap; k++)
            assert_int_equal(v.items[k], 0);
    }
    emp_arena_release(&a);
}

static void printf_and_dup(void **state)
{
    (void)state;
    struct emp_arena a;
    emp_arena_init(&a, 1); /* smaller than sense: raised */
    assert_string_equal(emp_arena_printf(&a, "%s-%d", "job", 17), "job-17");
    char *wide = emp_arena_printf(&a, "%*d", 9000, 1);
    assert_int_equal(strlen(wide), 9000);
    assert_memory_equal(emp_arena_dup(&a, "abc", 3), "abc", 3);
    assert_non_null(emp_arena_dup(&a, NULL, 0));
    assert_ptr_not_equal(emp_arena_alloc(&a, 0), emp_arena_alloc(&a, 0));
    emp_arena_give_back(&a, NULL, 0);
    emp_arena_reset(&a);
    emp_arena_release(&a);
    emp_arena_release(&a); /* twice is harmless */
}

/* Runs `body` in a child whose stderr comes back; true when it ended by abort(). */
static bool aborts(void (*body)(struct emp_arena *), char *err, size_t err_bytes)
{
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct emp_arena a;
        dup2(fd[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        emp_arena_init(&a, 0);
        body(&a);
        _exit(0);
    }
    close(fd[1]);
    ssize_t got, len = 0;
    while ((got = read(fd[0], err + len, err_bytes - 1 - (size_t)len)) > 0)
        len += got;
    err[len] = 0;
    close(fd[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void want_everything(struct emp_arena *a)
{
    emp_arena_alloc(a, SIZE_MAX / 2 + 1);
}

static void want_product(struct emp_arena *a)
{
    emp_arena_alloc_many(a, SIZE_MAX / 2, 3);
}

static void impossible_sizes_are_fatal_and_say_so(void **state)
{
    (void)state;
    char err[512];
    assert_true(aborts(want_everything, err, sizeof err));
    assert_non_null(strstr(err, "emp: fatal: allocation too large"));
    assert_true(aborts(want_product, err, sizeof err));
    assert_non_null(strstr(err, "emp: fatal: array too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_keep_content),
        cmocka_unit_test(large_growth_leaves_nothing_behind),
        cmocka_unit_test(last_small_one_grows_in_place),
        cmocka_unit_test(reserve_makes_room),
        cmocka_unit_test(reach_makes_room_of_zeros),
        cmocka_unit_test(printf_and_dup),
        cmocka_unit_test(impossible_sizes_are_fatal_and_say_so),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
