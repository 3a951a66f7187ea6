/* Messages, as if from an agent and from a broker: what is taken is written, read again and written
 * to the same text. */
#include "fuzz.h"

#include "proto/message_json.h"

const char *const fuzz_words[] = {
    "\"type\":\"hello\",",
    "\"type\":\"assign\",",
    "\"type\":\"completed\",",
    "\"job\":1,",
    "\"attempt\":1,",
    "\"machine\":{\"id\":\"m\",\"boot\":\"b\",\"services\":[],\"slots\":1},",
    "\"protocol\":1,",
    "\"outputs\":[{\"name\":\"a\",\"bytes\":1}],",
    "\"copies\":[",
    "\"caps\":{\"a\":[1,true,\"x\"]},",
    "\"sha256\":\"",
    "\"payload\":{\"a\":1e2},",
    "\"result\":[1,2],",
    "\"models\":[{\"name\":\"m\",\"bytes\":1}],",
    NULL,
};

static void encode(const struct emp_message *m, struct emp_buf *out)
{
    emp_buf_init(out, 1 << 24);
    FUZZ_CHECK(emp_message_encode(m, out));
}

static void check(const char *text, size_t size, char from)
{
    struct emp_arena a;
    struct emp_message m, again;
    struct emp_error err = {0};
    emp_arena_init(&a, 0);
    int r = emp_message_decode(&a, text, size, from, &m, &err);
    if (r < 0) {
        FUZZ_CHECK(r == EMP_E_PROTOCOL || r == EMP_E_INVALID);
        FUZZ_CHECK(err.code == r && err.text[0]);
    } else if (m.kind != EMP_MESSAGE_HELLO || m.hello.protocol == EMP_PROTOCOL_VERSION) {
        struct emp_buf first, second;
        fuzz_taken++;
        encode(&m, &first);
        if (emp_message_decode(&a, first.data, first.len, from, &again, &err) < 0) {
            fprintf(stderr, "%s\n%s\n", first.data, err.text);
            abort();
        }
        encode(&again, &second);
        FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        emp_buf_release(&first);
        emp_buf_release(&second);
    }
    emp_arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check((const char *)data, size, 'A');
    check((const char *)data, size, 'B');
    return 0;
}
