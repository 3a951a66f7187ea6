/* A message's members are its type and the fields of its shape. Types come first when written, but
 * may stand anywhere when read. */
#include "proto/message_json.h"

#include "proto/message_shapes.h"

/* Kinds that an agent may send; the others are the broker's. */
static bool sent_by(enum emp_message_kind kind, char from)
{
    static const char senders[] = {
#define SENDER(name, word, from) [EMP_MESSAGE_##name] = from,
        EMP_MESSAGES(SENDER)
#undef SENDER
    };
    return senders[kind] == from;
}

/* All members of the union begin where `hello` does. */
static void *body_of(struct emp_message *m)
{
    return &m->hello;
}

bool emp_message_encode(const struct emp_message *m, struct emp_buf *out)
{
    const struct emp_shape *shape = emp_message_shape(m->kind);
    struct emp_writer w;
    if (shape == NULL)
        return false;
    emp_writer_init(&w, out);
    emp_write_object(&w, NULL);
    emp_write_z(&w, "type", emp_message_word(m->kind));
    bool good = emp_shape_encode(&w, shape, &m->hello);
    emp_write_end(&w);
    return good && !out->failed;
}

/* A HELLO of another version: only that is read. */
static bool foreign_hello(struct emp_shape_reader *r, const struct emp_json *root,
                          struct emp_message *ret)
{
    const struct emp_json *v = emp_json_find(root, "protocol");
    const struct emp_place at = {.name = EMP_STR("protocol"), .index = -1};
    double protocol;
    if (v == NULL || emp_place_number(r, &at, v, 0, UINT32_MAX, &protocol) < 0 ||
        (uint32_t)protocol == EMP_PROTOCOL_VERSION)
        return false;
    ret->hello.protocol = (uint32_t)protocol;
    return true;
}

int emp_message_decode(struct emp_arena *a, const char *text, size_t len, char from,
                       struct emp_message *ret, struct emp_error *err)
{
    static const char *const closed[] = {"payload", "result", NULL};
    struct emp_shape_reader r = {a, err};
    struct emp_json *root;
    enum emp_message_kind kind;
    if (len > EMP_MESSAGE_BYTES_MAX)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL,
                        "a message of %zu bytes: at most %d are allowed", len,
                        EMP_MESSAGE_BYTES_MAX);
    int e = emp_json_parse(a, text, len, &(struct emp_json_options){.closed = closed}, &root, err);
    if (e < 0) {
        if (err)
            err->code = EMP_E_PROTOCOL;
        return e == EMP_E_TOO_LARGE ? e : EMP_E_PROTOCOL;
    }
    const struct emp_json *type = emp_json_find(root, "type");
    if (type == NULL || type->type != EMP_JSON_STRING)
        return emp_fail(err, EMP_E_PROTOCOL, "type",
                        "type: a message is an object with a type, a string");
    if (emp_message_kind_parse(type->string, &kind) < 0)
        return emp_fail(err, EMP_E_PROTOCOL, "type",
                        "type: %s is no message of this protocol (version %d)",
                        emp_json_excerpt(a, type), EMP_PROTOCOL_VERSION);
    if (!sent_by(kind, from))
        return emp_fail(err, EMP_E_PROTOCOL, "type", "type: \"%s\" is not sent by %s",
                        emp_message_word(kind), from == 'A' ? "an agent" : "a broker");
    *ret = (struct emp_message){.kind = kind};
    if (kind == EMP_MESSAGE_HELLO && foreign_hello(&r, root, ret))
        return 0;
    return emp_shape_decode(&r, emp_message_shape(kind), NULL, root, body_of(ret));
}

/* ---- results at rest ---- */

#define S struct emp_message_finished
static const struct emp_field blob_fields[] = {
    {.name = "result", .type = EMP_FIELD_RAW, .offset = offsetof(S, result), .max = UINT32_MAX},
    {.name = "outputs",
     .type = EMP_FIELD_SHAPES,
     .offset = offsetof(S, outputs),
     .count_offset = offsetof(S, output_count),
     .shape = &emp_shape_of_output,
     .max = EMP_ATTEMPT_OUTPUTS_MAX},
};
static const struct emp_shape blob_shape = {
    .name = "result_blob",
    .fields = blob_fields,
    .field_count = sizeof blob_fields / sizeof *blob_fields,
    .size = sizeof(S),
};
#undef S

void emp_result_blob_write(struct emp_buf *out, const struct emp_message_finished *f)
{
    struct emp_writer w;
    emp_writer_init(&w, out);
    emp_write_object(&w, NULL);
    if (!emp_shape_encode(&w, &blob_shape, f))
        out->failed = true;
    emp_write_end(&w);
}

int emp_result_blob_parse(struct emp_arena *a, struct emp_str blob, struct emp_str *ret_result,
                          struct emp_output **ret_outputs, uint32_t *ret_output_count,
                          struct emp_error *err)
{
    static const char *const closed[] = {"result", NULL};
    struct emp_shape_reader r = {a, err};
    struct emp_message_finished f = {0};
    struct emp_json *root;
    int e = emp_json_parse(a, blob.ptr, blob.len, &(struct emp_json_options){.closed = closed},
                           &root, err);
    if (e == 0)
        e = emp_shape_decode(&r, &blob_shape, NULL, root, &f);
    if (e < 0)
        return EMP_E_MALFORMED;
    *ret_result = f.result;
    *ret_outputs = f.outputs;
    *ret_output_count = f.output_count;
    return 0;
}

int emp_result_check(struct emp_arena *a, struct emp_str result, struct emp_error *err)
{
    struct emp_json *root;
    if (result.len > EMP_RESULT_BYTES_MAX)
        return emp_fail(err, EMP_E_TOO_LARGE, "result",
                        "result: has %u bytes, at most %d are allowed: what is larger belongs into "
                        "an output file",
                        (unsigned)result.len, EMP_RESULT_BYTES_MAX);
    if (result.len == 0)
        return 0;
    /* wrapped as the message will wrap it, so that its depth counts likewise */
    struct emp_json_options options = {.tree_depth = 1};
    char *wrapped = emp_arena_alloc(a, (size_t)result.len + 2);
    wrapped[0] = '[';
    memcpy(wrapped + 1, result.ptr, result.len);
    wrapped[result.len + 1] = ']';
    int e = emp_json_parse(a, wrapped, (size_t)result.len + 2, &options, &root, err);
    if (e == 0 && root->count != 1)
        return emp_fail(err, EMP_E_MALFORMED, "result", "result: not one JSON value");
    return e;
}
