/* The histogram against sorted values, and the load's connections against a peer that speaks in
 * pieces. */
#include "base/random.h"
#include "check.h"
#include "cli/bench_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_within_their_buckets(void **state)
{
    enum { N = 20000 };
    static uint64_t values[N];
    static struct emp_histogram h, half, merged;
    struct emp_random random;

    (void)state;
    emp_random_init(&random, 7);
    for (unsigned i = 0; i < N; i++) {
        values[i] = emp_random_below(&random, 1ull << (1 + emp_random_below(&random, 30)));
        emp_histogram_add(i % 2 ? &h : &half, (int64_t)values[i]);
    }
    emp_histogram_merge(&merged, &h);
    emp_histogram_merge(&merged, &half);
    qsort(values, N, sizeof *values, by_value);
    assert_int_equal(merged.count, N);
    assert_int_equal(merged.max, values[N - 1]);
    for (double q = 0; q < 1; q += 0.01) {
        double exact = (double)values[(size_t)(q * N)];
        double told = (double)emp_histogram_quantile(&merged, q);
        if (told < exact || told > exact * 1.04 + 1)
            fail_msg("quantile %.2f: %.0f told, %.0f is right", q, told, exact);
    }
    assert_int_equal(emp_histogram_quantile(&merged, 1), merged.max);
}

static void an_empty_histogram_says_nothing(void **state)
{
    static struct emp_histogram h;

    (void)state;
    assert_int_equal(emp_histogram_quantile(&h, 0.5), 0);
    emp_histogram_add(&h, -3); // a clock that was set back
    assert_int_equal(emp_histogram_quantile(&h, 0.5), 0);
    emp_histogram_add(&h, INT64_MAX);
    assert_int_equal(h.count, 2);
}

/* ------------------------------------------------------------------ connections */

struct fixture {
    int listener, peer;
    struct sockaddr_in address;
    struct emp_load load;
    struct emp_bench_http http;
};

static void set_up(struct fixture *f)
{
    static const struct emp_str request[] = {{"GET / HTTP/1.1\r\n\r\n", 18}};
    socklen_t len = sizeof f->address;
    struct emp_error err;

    memset(f, 0, sizeof *f);
    f->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&f->address, len), 0);
    assert_int_equal(listen(f->listener, 4), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&f->address, &len), 0);
    assert_int_equal(emp_load_init(&f->load, &err), 0);
    assert_int_equal(emp_bench_http_open(&f->http, &f->load, (struct sockaddr *)&f->address, len, 1,
                                         request, 1, &err),
                     0);
    f->peer = accept(f->listener, NULL, NULL);
    assert_true(f->peer >= 0);
}

static void tear_down(struct fixture *f)
{
    emp_bench_http_close(&f->http);
    emp_load_release(&f->load);
    close(f->peer);
    close(f->listener);
}

static void expect_request(struct fixture *f)
{
    char got[19] = {0};

    assert_int_equal(recv(f->peer, got, 18, MSG_WAITALL), 18);
    assert_string_equal(got, "GET / HTTP/1.1\r\n\r\n");
}

static int say(struct fixture *f, const char *text, size_t len, struct emp_error *err)
{
    if (len > 0)
        assert_int_equal(send(f->peer, text, len, 0), len);
    return emp_load_turn(&f->load, 10000, err);
}

static void answers_in_pieces_are_joined(void **state)
{
    static const char answer[] = "HTTP/1.1 201 Created\r\nX: y\r\ncontent-length: 5\r\n\r\nhello";
    struct fixture f;
    struct emp_error err;

    (void)state;
    set_up(&f);
    emp_bench_http_add(&f.http, 2);
    expect_request(&f);
    for (size_t i = 0; i + 1 < sizeof answer; i++) {
        assert_int_equal(f.http.answered, 0);
        assert_int_equal(say(&f, answer + i, 1, &err), 0);
    }
    assert_int_equal(f.http.answered, 1);
    expect_request(&f); // the second, on the same connection
    assert_int_equal(say(&f, answer, sizeof answer - 1, &err), 0);
    assert_int_equal(f.http.answered, 2);
    assert_int_equal(f.http.times.count, 2);
    tear_down(&f);
}

static void anything_else_ends_the_run(void **state)
{
    static const struct {
        const char *answer, *text;
    } cases[] = {
        {"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nfull", "answered 503: full"},
        {"SSH-2.0-OpenSSH\r\n\r\n", "not understood"},
        {"HTTP/1.1 200 OK\r\n\r\n", "not understood"},
        {"", "closed by the broker"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct emp_error err = {0};
        set_up(&f);
        emp_bench_http_add(&f.http, 1);
        expect_request(&f);
        if (!cases[i].answer[0])
            shutdown(f.peer, SHUT_WR);
        assert_int_equal(say(&f, cases[i].answer, strlen(cases[i].answer), &err), EMP_E_NET);
        assert_contains(err.text, cases[i].text);
        tear_down(&f);
    }
}

static void a_signal_ends_the_run(void **state)
{
    struct fixture f;
    struct emp_error err = {0};

    (void)state;
    set_up(&f);
    emp_load_interrupted = 1;
    assert_int_equal(emp_load_turn(&f.load, 0, &err), EMP_E_CANCELLED);
    emp_load_interrupted = 0;
    assert_int_equal(emp_load_turn(&f.load, 0, &err), 0);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_their_buckets),
        cmocka_unit_test(an_empty_histogram_says_nothing),
        cmocka_unit_test(answers_in_pieces_are_joined),
        cmocka_unit_test(anything_else_ends_the_run),
        cmocka_unit_test(a_signal_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
