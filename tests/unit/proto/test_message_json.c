/* Messages: every kind there and back with random content, what is refused, what is left alone. */
#include "domain/message.h"
#include "proto/message_json.h"
#include "proto/message_shapes.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

static struct emp_arena arena;
static struct emp_buf buf;

static int setup(void **state)
{
    (void)state;
    emp_arena_init(&arena, 0);
    emp_buf_init(&buf, EMP_MESSAGE_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    emp_arena_release(&arena);
    emp_buf_release(&buf);
    return 0;
}

static char sender(enum emp_message_kind kind)
{
    return kind <= EMP_MESSAGE_GOODBYE ? 'A' : 'B';
}

/* Absent, it reads back as the name. */
static void give_path(struct emp_model *m)
{
    if (m->path.len == 0)
        m->path = m->name;
}

static void there_and_back(enum emp_message_kind kind, struct emp_random *r,
                           unsigned long long seed)
{
    const struct emp_shape *shape = emp_message_shape(kind);
    struct emp_message m = {.kind = kind}, back;
    struct emp_error err = {0};
    random_object(r, &arena, shape, &m.hello);
    if (kind == EMP_MESSAGE_HELLO)
        m.hello.protocol = EMP_PROTOCOL_VERSION;
    for (uint32_t i = 0; kind == EMP_MESSAGE_ASSIGN && i < m.assign.model_count; i++)
        give_path(&m.assign.models[i]);
    for (uint32_t i = 0; kind == EMP_MESSAGE_PLAN && i < m.plan.planned_count; i++)
        give_path(&m.plan.planned[i].model);
    emp_buf_clear(&buf);
    assert_true(emp_message_encode(&m, &buf));
    if (emp_message_decode(&arena, buf.data, buf.len, sender(kind), &back, &err) != 0)
        fail_msg("seed %llu: %s\n%s", seed, err.text, buf.data);
    assert_int_equal(back.kind, kind);
    const char *field = shape_difference(shape, &m.hello, &back.hello);
    if (field)
        fail_msg("seed %llu: %s differs\n%s", seed, field, buf.data);
}

static void every_message_comes_back(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < EMP_MESSAGE_COUNT; kind++) {
        for (unsigned long long seed = 1; seed <= 300; seed++) {
            struct emp_random r;
            emp_random_init(&r, seed * 1000 + kind);
            there_and_back((enum emp_message_kind)kind, &r, seed * 1000 + kind);
            emp_arena_reset(&arena);
        }
    }
}

static int decode(const char *text, char from, struct emp_message *m, struct emp_error *err)
{
    *err = (struct emp_error){0};
    return emp_message_decode(&arena, text, strlen(text), from, m, err);
}

static void refuses_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        char from;
        int code;
        const char *field, *says;
    } cases[] = {
        {"", 'A', EMP_E_PROTOCOL, "", "is empty"},
        {"garbage", 'A', EMP_E_PROTOCOL, "", "byte 0"},
        {"{\"type\":\"beat\",\"disk_free_bytes\":1", 'A', EMP_E_PROTOCOL, "", "ends too early"},
        {"[]", 'A', EMP_E_PROTOCOL, "type", "type"},
        {"{}", 'A', EMP_E_PROTOCOL, "type", "type"},
        {"{\"type\":7}", 'A', EMP_E_PROTOCOL, "type", "type"},
        {"{\"type\":\"dance\"}", 'A', EMP_E_PROTOCOL, "type", "\"dance\" is no message"},
        {"{\"type\":\"assign\"}", 'A', EMP_E_PROTOCOL, "type", "not sent by an agent"},
        {"{\"type\":\"beat\"}", 'B', EMP_E_PROTOCOL, "type", "not sent by a broker"},
        {"{\"type\":\"beat\"}", 'A', EMP_E_INVALID, "disk_free_bytes",
         "disk_free_bytes: is missing"},
        {"{\"type\":\"beat\",\"disk_free_bytes\":-1}", 'A', EMP_E_INVALID, "disk_free_bytes",
         "-1 is out of range"},
        {"{\"type\":\"beat\",\"disk_free_bytes\":1.5}", 'A', EMP_E_INVALID, "disk_free_bytes",
         "1.5 is not a whole number"},
        {"{\"type\":\"beat\",\"disk_free_bytes\":\"9\"}", 'A', EMP_E_INVALID, "disk_free_bytes",
         "\"9\" is not a number"},
        {"{\"type\":\"progress\",\"job\":0,\"attempt\":1,\"percent\":1}", 'A', EMP_E_INVALID, "job",
         "0 is out of range"},
        {"{\"type\":\"progress\",\"job\":1,\"attempt\":1,\"percent\":101}", 'A', EMP_E_INVALID,
         "percent", "101 is out of range"},
        {"{\"type\":\"completed\",\"job\":1,\"attempt\":1,\"ended_at\":1,\"outputs\":[{\"name\":"
         "\"a\",\"bytes\":1},"
         "{\"name\":\"../x\",\"bytes\":1}]}",
         'A', EMP_E_INVALID, "outputs[1].name", "\"../x\" is no safe relative path"},
        {"{\"type\":\"assign\",\"job\":1,\"attempt\":1,\"service\":\"s\",\"timeout_ms\":1,"
         "\"payload\":[1]}",
         'B', EMP_E_INVALID, "payload", "is not an object"},
        {"{\"type\":\"assign\",\"job\":1,\"attempt\":1,\"service\":\"s\",\"timeout_ms\":1,"
         "\"models\":[{\"name\":\"/etc/passwd\","
         "\"bytes\":1}]}",
         'B', EMP_E_INVALID, "models[0].path", "is not accepted"},
        {"{\"type\":\"assign\",\"job\":1,\"attempt\":1,\"service\":\"s\\u0007\",\"timeout_ms\":1}",
         'B', EMP_E_INVALID, "service", "control character"},
        {"{\"type\":\"copies\",\"disk_free_bytes\":1,\"copies\":[{\"model\":\"m\",\"residency\":"
         "\"moon\"}]}",
         'A', EMP_E_INVALID, "copies[0].residency",
         "\"moon\" is none of none, fetching, disk, ram, gpu"},
        {"{\"type\":\"hello\",\"protocol\":1,\"machine\":{\"id\":\"m\",\"boot\":\"b\",\"services\":"
         "[\"s\",\"\"],\"slots\":1}}",
         'A', EMP_E_INVALID, "machine.services[1]", "is empty"},
        {"{\"type\":\"hello\",\"protocol\":1,\"machine\":{\"id\":\"m\",\"boot\":\"b\",\"services\":"
         "[],\"slots\":5000}}",
         'A', EMP_E_INVALID, "machine.slots", "5000 is out of range"},
        {"{\"type\":\"hello\",\"protocol\":1,\"machine\":{\"id\":\"m\",\"boot\":\"b\",\"services\":"
         "[],\"slots\":1,"
         "\"caps\":{\"a\":[[1]]}}}",
         'A', EMP_E_INVALID, "machine.caps.a[0]", "no text, number or boolean"},
        {"{\"type\":\"hello\",\"protocol\":\"one\"}", 'A', EMP_E_INVALID, "protocol",
         "\"one\" is not a number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_message m;
        struct emp_error err;
        int e = decode(cases[i].text, cases[i].from, &m, &err);
        if (e != cases[i].code || err.code != e || strcmp(err.field, cases[i].field) != 0 ||
            !strstr(err.text, cases[i].says))
            fail_msg("%s: %s, field \"%s\", \"%s\"", cases[i].text, emp_error_name(e), err.field,
                     err.text);
    }
}

static void unknown_members_are_left_alone(void **state)
{
    struct emp_message m;
    struct emp_error err;
    (void)state;
    assert_int_equal(
        decode("{\"new\":{\"x\":[]},\"attempt\":4,\"type\":\"ack\",\"job\":9,\"reason\":null}", 'B',
               &m, &err),
        0);
    assert_true(m.kind == EMP_MESSAGE_ACK && m.lease.job == 9 && m.lease.attempt == 4 &&
                m.lease.reason.len == 0);
}

static void payload_and_result_keep_their_bytes(void **state)
{
    const struct emp_str payload =
        EMP_STR("{ \"seed\" : 18446744073709551615, \"x\":1.10 ,\"\\u0061\":[ ] }");
    struct emp_message m = {
        .kind = EMP_MESSAGE_ASSIGN,
        .assign = {.job = 1, .attempt = 1, .service = EMP_STR("s"), .payload = payload}};
    struct emp_message back;
    (void)state;
    assert_true(emp_message_encode(&m, &buf));
    assert_int_equal(emp_message_decode(&arena, buf.data, buf.len, 'B', &back, NULL), 0);
    assert_true(emp_str_eq(back.assign.payload, payload));
    m = (struct emp_message){.kind = EMP_MESSAGE_COMPLETED,
                             .finished = {.job = 1, .attempt = 1, .result = EMP_STR("[1.0, 2]")}};
    emp_buf_clear(&buf);
    assert_true(emp_message_encode(&m, &buf));
    assert_int_equal(emp_message_decode(&arena, buf.data, buf.len, 'A', &back, NULL), 0);
    assert_true(emp_str_eq(back.finished.result, EMP_STR("[1.0, 2]")));
}

/* A peer of another version is to be told so, whatever else its HELLO looks like. */
static void another_version_is_recognised(void **state)
{
    struct emp_message m;
    struct emp_error err;
    (void)state;
    assert_int_equal(
        decode("{\"type\":\"hello\",\"protocol\":99,\"machine\":[\"all new\"]}", 'A', &m, &err), 0);
    assert_true(m.kind == EMP_MESSAGE_HELLO && m.hello.protocol == 99 && m.hello.facts.id.len == 0);
}

static void what_a_peer_would_refuse_is_brought_into_range(void **state)
{
    char text[EMP_ERROR_REPORT_MAX + 100];
    struct emp_message m = {.kind = EMP_MESSAGE_PROGRESS,
                            .progress = {.job = 1, .attempt = 1, .percent = 250}},
                       back;
    struct emp_error err = {0};
    (void)state;
    memset(text, 0xc3, sizeof text);
    m.progress.text = (struct emp_str){text, sizeof text};
    assert_true(emp_message_encode(&m, &buf));
    assert_int_equal(emp_message_decode(&arena, buf.data, buf.len, 'A', &back, &err), 0);
    assert_true(back.progress.percent >= 100 && back.progress.percent <= 100);
    assert_in_range(back.progress.text.len, EMP_PROGRESS_TEXT_MAX - 2, EMP_PROGRESS_TEXT_MAX);
    m = (struct emp_message){.kind = EMP_MESSAGE_BEAT,
                             .beat = {.disk_free_bytes = -7, .cpu_load = NAN}};
    emp_buf_clear(&buf);
    assert_true(emp_message_encode(&m, &buf));
    assert_int_equal(emp_message_decode(&arena, buf.data, buf.len, 'A', &back, &err), 0);
    assert_true(back.beat.disk_free_bytes == 0);
}

static void too_many_is_not_encoded(void **state)
{
    struct emp_message m = {
        .kind = EMP_MESSAGE_COMPLETED,
        .finished = {.job = 1, .attempt = 1, .output_count = EMP_ATTEMPT_OUTPUTS_MAX + 1}};
    (void)state;
    m.finished.outputs = emp_arena_array(&arena, struct emp_output, EMP_ATTEMPT_OUTPUTS_MAX + 1);
    assert_false(emp_message_encode(&m, &buf));
    m.kind = EMP_MESSAGE_COUNT;
    assert_false(emp_message_encode(&m, &buf));
}

static void results_at_rest_come_back(void **state)
{
    struct emp_message_finished f = {.result = EMP_STR("{\"a\": 1.50}")};
    struct emp_output out = {.name = EMP_STR("dir/a b.png"),
                             .type = EMP_STR("image/png"),
                             .bytes = 7},
                      *outputs;
    struct emp_str result;
    uint32_t count;
    (void)state;
    f.outputs = &out;
    f.output_count = 1;
    emp_result_blob_write(&buf, &f);
    struct emp_str blob = {buf.data, (uint32_t)buf.len};
    assert_int_equal(emp_result_blob_parse(&arena, blob, &result, &outputs, &count, NULL), 0);
    assert_true(emp_str_eq(result, f.result) && count == 1 &&
                emp_str_eq(outputs[0].name, out.name) && outputs[0].bytes == 7);
    assert_int_equal(emp_result_blob_parse(&arena, EMP_STR("{}"), &result, &outputs, &count, NULL),
                     0);
    assert_true(result.len == 0 && count == 0);
    assert_int_equal(
        emp_result_blob_parse(&arena, EMP_STR("{\"outputs\":7}"), &result, &outputs, &count, NULL),
        EMP_E_MALFORMED);
    assert_int_equal(
        emp_result_blob_parse(&arena, EMP_STR("nonsense"), &result, &outputs, &count, NULL),
        EMP_E_MALFORMED);
}

static void a_result_is_checked_before_it_is_kept(void **state)
{
    char deep[128];
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_result_check(&arena, (struct emp_str){0}, &err), 0);
    assert_int_equal(emp_result_check(&arena, EMP_STR("null"), &err), 0);
    assert_int_equal(emp_result_check(&arena, EMP_STR("{\"a\":[1]}"), &err), 0);
    assert_int_equal(emp_result_check(&arena, EMP_STR("1,2"), &err), EMP_E_MALFORMED);
    assert_int_equal(emp_result_check(&arena, EMP_STR("1],[2"), &err), EMP_E_MALFORMED);
    assert_int_equal(emp_result_check(&arena, EMP_STR("{\"a\":NaN}"), &err), EMP_E_MALFORMED);
    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    assert_int_equal(emp_result_check(&arena, (struct emp_str){deep, 128}, &err), EMP_E_MALFORMED);
    assert_int_equal(emp_result_check(&arena, (struct emp_str){deep + 1, 126}, &err), 0);
}

static void facts_become_capabilities(void **state)
{
    struct emp_gpu gpus[] = {{EMP_STR("RTX 4090"), 24000000000},
                             {EMP_STR("RTX 3060"), 12000000000}};
    struct emp_capability own = {
        .path = EMP_STR("hardware.cpu_cores"), .kind = EMP_CAPABILITY_NUMBER, .number = 4};
    struct emp_machine_facts f = {.caps = &own,
                                  .cap_count = 1,
                                  .gpus = gpus,
                                  .gpu_count = 2,
                                  .cpu_cores = 16,
                                  .ram_bytes = 64000000000};
    (void)state;
    emp_machine_caps_fill(&arena, &f);
    assert_int_equal(f.cap_count, 6);
    for (uint32_t i = 0; i < f.cap_count; i++) {
        if (emp_str_eq(f.caps[i].path, EMP_STR("hardware.cpu_cores")))
            assert_int_equal((int)f.caps[i].number, 4);
        if (emp_str_eq(f.caps[i].path, EMP_STR("hardware.gpu_memory_gb")))
            assert_int_equal((int)f.caps[i].number, 24);
        if (emp_str_eq(f.caps[i].path, EMP_STR("hardware.ram_gb")))
            assert_int_equal((int)f.caps[i].number, 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_message_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_members_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(payload_and_result_keep_their_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(another_version_is_recognised, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_peer_would_refuse_is_brought_into_range, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(too_many_is_not_encoded, setup, teardown),
        cmocka_unit_test_setup_teardown(results_at_rest_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_result_is_checked_before_it_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(facts_become_capabilities, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
