/* The link to a broker that comes, goes, refuses and flaps: a real one's HTTP server and WebSocket,
 * in the test's hands. */
#include "agent/link.h"

#include "check.h"
#include "net/http_server.h"

#include <stdatomic.h>
#include <unistd.h>

enum { ASKED_MAX = 64 };

struct rig {
    struct place *p;
    /* the broker's side */
    struct emp_http_server *server;
    atomic_int handed;      /* a descriptor on its way from the server's thread; -1: none */
    atomic_int refuse;      /* HTTP status of the next answers; 0: upgrade */
    atomic_int asked;       /* how often */
    char path[64], who[64]; /* of the last request; read after `asked` */
    struct emp_ws *ws;
    char heard[128];
    bool slam; /* closes what comes, at once */
    int taken, left;
    /* the agent's side */
    struct emp_http_client *http;
    struct emp_agent_link link;
    int ups, downs, refusals;
    char text[128];
    struct emp_error err;
    bool closed, begun;
};

/* ---------------------------------------------------------------- the broker */

static void on_upgraded(void *arg, int fd, const void *extra, size_t extra_len)
{
    struct rig *g = arg;
    (void)extra, (void)extra_len;
    atomic_store(&g->handed, fd);
}

static void on_request(void *ctx, struct emp_http_request *req)
{
    struct rig *g = ctx;
    const char *who = emp_http_header(req, "authorization");
    int status = atomic_load(&g->refuse);
    snprintf(g->path, sizeof g->path, "%.*s", EMP_STR_FMT(emp_http_raw_path(req)));
    snprintf(g->who, sizeof g->who, "%s", who ? who : "nobody");
    if (status)
        emp_http_respond(req, (unsigned)status, NULL, NULL, 0, NULL, 0);
    else
        emp_http_upgrade(req, on_upgraded, g);
    atomic_fetch_add(&g->asked, 1);
}

static void on_heard(void *ctx, struct emp_ws *ws, const char *data, size_t len)
{
    struct rig *g = ctx;
    (void)ws;
    snprintf(g->heard, sizeof g->heard, "%.*s", (int)len, data);
}

static void on_left(void *ctx, struct emp_ws *ws, int code, const char *reason)
{
    struct rig *g = ctx;
    (void)code, (void)reason;
    g->left++;
    if (g->ws == ws)
        g->ws = NULL;
}

/* Takes a connection that the server has handed over. True while the condition that is waited for
 * may hold. */
static bool broker_turn(struct rig *g)
{
    int fd = atomic_exchange(&g->handed, -1);
    struct emp_ws_options o = {.ctx = g, .on_message = on_heard, .on_close = on_left};
    if (fd < 0)
        return true;
    assert_int_equal(emp_ws_new_server(&g->p->loop, fd, NULL, 0, &o, &g->ws), 0);
    g->taken++;
    if (g->slam)
        emp_ws_close(g->ws, EMP_WS_POLICY, "not now");
    return true;
}

#define BROKER_UNTIL(g, condition) UNTIL((g)->p, broker_turn(g) && (condition))

/* ---------------------------------------------------------------- the agent */

static void on_up(void *arg)
{
    ((struct rig *)arg)->ups++;
}

static void on_down(void *arg)
{
    ((struct rig *)arg)->downs++;
}

static void on_text(void *arg, const char *text, size_t len)
{
    struct rig *g = arg;
    snprintf(g->text, sizeof g->text, "%.*s", (int)len, text);
}

static void on_refused(void *arg, const struct emp_error *err)
{
    struct rig *g = arg;
    g->refusals++;
    g->err = *err;
}

static void on_closed(void *arg)
{
    ((struct rig *)arg)->closed = true;
}

static int begin(struct rig *g, const char *url, const char *token)
{
    struct emp_link_options o = {.loop = &g->p->loop,
                                 .http = g->http,
                                 .url = url,
                                 .token = token,
                                 .arg = g,
                                 .up = on_up,
                                 .down = on_down,
                                 .text = on_text,
                                 .refused = on_refused};
    int r = emp_agent_link_start(&g->link, &o, &g->err);
    g->begun = r == 0;
    assert_int_equal(g->ups + g->refusals, 0);
    return r;
}

static const char *url_of(struct rig *g)
{
    return emp_arena_printf(&g->p->arena, "ws://127.0.0.1:%u/", emp_http_server_port(g->server));
}

static void end(struct rig *g)
{
    emp_agent_link_close(&g->link, on_closed);
    assert_false(g->closed);
    BROKER_UNTIL(g, g->closed);
    g->begun = false;
}

static int setup(void **state)
{
    if (place_make(state) < 0)
        return -1;
    struct rig *g = calloc(1, sizeof *g);
    struct emp_error err;
    g->p = *state;
    atomic_store(&g->handed, -1);
    struct emp_http_options o = {.threads = 1, .ctx = g, .handle = on_request};
    *state = g;
    return emp_http_client_new(&g->p->loop, NULL, &g->http) < 0 ||
           emp_http_server_start(&o, &g->server, &err) < 0;
}

static int teardown(void **state)
{
    struct rig *g = *state;
    *state = g->p;
    if (g->begun)
        end(g);
    if (g->ws)
        emp_ws_abort(g->ws);
    emp_http_client_close(g->http, NULL, NULL);
    while (uv_loop_alive(&g->p->loop))
        uv_run(&g->p->loop, UV_RUN_ONCE);
    emp_http_server_stop(g->server, 0);
    emp_http_server_free(g->server);
    int fd = atomic_exchange(&g->handed, -1);
    if (fd >= 0)
        close(fd);
    free(g);
    return place_remove(state);
}

static void send_goodbye(struct rig *g, const char *reason)
{
    struct emp_message m = {.kind = EMP_MESSAGE_GOODBYE, .goodbye = {.reason = emp_str_z(reason)}};
    emp_agent_link_send(&g->link, &m);
}

/* ---------------------------------------------------------------- cases */

static void it_connects_and_says_who_it_is(void **state)
{
    struct rig *g = *state;
    assert_int_equal(begin(g, url_of(g), "the token"), 0);
    BROKER_UNTIL(g, g->ups == 1 && g->ws);
    assert_string_equal(g->path, "/ws/agent");
    assert_string_equal(g->who, "Bearer the token");
    emp_ws_send_text(g->ws, "hello agent", 11);
    UNTIL(g->p, g->text[0]);
    assert_string_equal(g->text, "hello agent");
    send_goodbye(g, "why");
    UNTIL(g->p, g->heard[0]);
    assert_non_null(strstr(g->heard, "goodbye"));
    assert_non_null(strstr(g->heard, "why"));
}

static void a_lost_connection_is_made_anew_at_once(void **state)
{
    struct rig *g = *state;
    begin(g, url_of(g), NULL);
    BROKER_UNTIL(g, g->ups == 1 && g->ws);
    assert_string_equal(g->who, "nobody");
    emp_mono_ms lost = emp_mono_now();
    emp_ws_abort(g->ws);
    BROKER_UNTIL(g, g->ups == 2 && g->taken == 2);
    assert_int_equal(g->downs, 1);
    assert_true(emp_mono_now() - lost < 5000);
    send_goodbye(g, "still here"); // over the new one
    BROKER_UNTIL(g, strstr(g->heard, "still here"));
}

static void what_is_sent_without_a_connection_is_dropped(void **state)
{
    struct rig *g = *state;
    atomic_store(&g->refuse, 503);
    begin(g, url_of(g), NULL);
    send_goodbye(g, "nobody hears");
    BROKER_UNTIL(g, atomic_load(&g->asked) >= 2);
    send_goodbye(g, "nobody hears");
    atomic_store(&g->refuse, 0);
    BROKER_UNTIL(g, g->ups == 1 && g->ws);
    send_goodbye(g, "now");
    UNTIL(g->p, g->heard[0]);
    assert_non_null(strstr(g->heard, "now"));
    assert_int_equal(g->refusals, 0);
}

static void a_refused_token_is_told(void **state)
{
    struct rig *g = *state;
    atomic_store(&g->refuse, 401);
    begin(g, url_of(g), "wrong");
    BROKER_UNTIL(g, g->refusals == 1);
    assert_int_equal(g->err.code, EMP_E_UNAUTHORIZED);
    assert_int_equal(atomic_load(&g->asked), 1);
}

static void who_was_welcome_once_does_not_give_up(void **state)
{
    struct rig *g = *state;
    begin(g, url_of(g), "token");
    BROKER_UNTIL(g, g->ups == 1 && g->ws);
    atomic_store(&g->refuse, 401); // its keys are being changed
    emp_ws_abort(g->ws);
    BROKER_UNTIL(g, atomic_load(&g->asked) >= 3);
    assert_int_equal(g->refusals, 0);
    atomic_store(&g->refuse, 0);
    BROKER_UNTIL(g, g->ups == 2);
}

static void pauses_grow_while_nobody_takes_it(void **state)
{
    struct rig *g = *state;
    atomic_store(&g->refuse, 503);
    emp_mono_ms began = emp_mono_now();
    begin(g, url_of(g), NULL);
    BROKER_UNTIL(g, atomic_load(&g->asked) >= 6);
    assert_true(emp_mono_now() - began >=
                50 + 50 + 100 + 200 + 400); // each at least half of 50, 100, 200, 400, 800
}

static void a_connection_that_does_not_last_is_no_fresh_start(void **state)
{
    struct rig *g = *state;
    g->slam = true;
    emp_mono_ms began = emp_mono_now();
    begin(g, url_of(g), NULL);
    BROKER_UNTIL(g, g->downs >= 6);
    assert_true(emp_mono_now() - began >= 50 + 50 + 100 + 200 + 400);
    assert_int_equal(g->ups, g->downs);
}

static void told_to_reconnect_it_does(void **state)
{
    struct rig *g = *state;
    begin(g, url_of(g), NULL);
    BROKER_UNTIL(g, g->ups == 1 && g->ws);
    emp_agent_link_reconnect(&g->link, "services changed");
    assert_int_equal(g->downs, 0); // never from inside
    BROKER_UNTIL(g, g->ups == 2 && g->taken == 2);
}

static void the_last_word_leaves_before_the_end(void **state)
{
    struct rig *g = *state;
    begin(g, url_of(g), NULL);
    BROKER_UNTIL(g, g->ups == 1 && g->ws);
    send_goodbye(g, "the last word");
    end(g);
    UNTIL(g->p, g->left == 1);
    assert_non_null(strstr(g->heard, "the last word"));
    assert_int_equal(g->downs, 0);
}

static void it_ends_at_any_moment(void **state)
{
    struct rig *g = *state;
    begin(g, url_of(g), NULL);
    end(g); // before it began
    g->closed = false;
    begin(g, "ws://127.0.0.1:1", NULL);
    uv_run(&g->p->loop, UV_RUN_NOWAIT); // while it dials
    uv_run(&g->p->loop, UV_RUN_NOWAIT);
    end(g);
    assert_int_equal(g->ups, 0);
}

static void it_ends_in_a_pause(void **state)
{
    struct rig *g = *state;
    atomic_store(&g->refuse, 503);
    begin(g, url_of(g), NULL);
    BROKER_UNTIL(g, atomic_load(&g->asked) == 5 && g->link.dial == NULL);
    end(g);
    assert_int_equal(atomic_load(&g->asked), 5);
}

static void wrong_addresses_are_refused(void **state)
{
    static const char *const wrong[] = {"", "127.0.0.1:3331", "ftp://x", "ws://", "ws:/x", "wss"};
    struct rig *g = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(begin(g, wrong[i], NULL), EMP_E_INVALID);
        assert_string_equal(g->err.field, "broker");
        assert_non_null(strstr(g->err.text, emp_arena_printf(&g->p->arena, "\"%s\"", wrong[i])));
    }
}

int main(void)
{
#define RIGGED(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        RIGGED(it_connects_and_says_who_it_is),
        RIGGED(a_lost_connection_is_made_anew_at_once),
        RIGGED(what_is_sent_without_a_connection_is_dropped),
        RIGGED(a_refused_token_is_told),
        RIGGED(who_was_welcome_once_does_not_give_up),
        RIGGED(pauses_grow_while_nobody_takes_it),
        RIGGED(a_connection_that_does_not_last_is_no_fresh_start),
        RIGGED(told_to_reconnect_it_does),
        RIGGED(the_last_word_leaves_before_the_end),
        RIGGED(it_ends_at_any_moment),
        RIGGED(it_ends_in_a_pause),
        RIGGED(wrong_addresses_are_refused),
    };
    return cmocka_run_group_tests_name("agent/link", tests, NULL, NULL);
}
