/* Makes tables of message.def. A macro of it is one initialiser of struct emp_field; S is the
 * struct that the fields belong to. */
#include "proto/message_shapes.h"

#include "proto/model_check.h"
#include "proto/model_json.h"

#define NUM_MAX  ((INT64_C(1) << 48) - 1)
#define WALL_MAX INT64_C(253402300799999) /* end of the year 9999 */
#define HELD_MAX 65536 /* leases with results that wait for an ACK are held, too */

static const char *residency_word(unsigned v)
{
    return emp_residency_word((enum emp_residency)v);
}

static const char *isolation_word(unsigned v)
{
    return emp_isolation_word((enum emp_isolation)v);
}

static const struct emp_words residency_words = {residency_word, EMP_RESIDENCY_COUNT};
static const struct emp_words isolation_words = {isolation_word, EMP_ISOLATION_STRICT + 1};

static int model_check(struct emp_shape_reader *r, const struct emp_place *at, void *object)
{
    return emp_model_check_at(r, at, object);
}

static int output_check(struct emp_shape_reader *r, const struct emp_place *at, void *object)
{
    const struct emp_output *o = object;
    struct emp_place name = {.up = at, .name = EMP_STR("name"), .index = -1};
    if (emp_path_safe(o->name))
        return 0;
    return emp_place_fail(r, &name, "\"%.*s\" is no safe relative path", EMP_STR_FMT(o->name));
}

#define EMP_SHAPE(shape) static const struct emp_field shape##_fields[] = {
#define EMP_SHAPE_END(shape, means, checked)                                              \
    }                                                                                     \
    ;                                                                                     \
    _Static_assert(sizeof shape##_fields / sizeof *shape##_fields <= 64, "one bit each"); \
    const struct emp_shape emp_shape_of_##shape = {                                       \
        .name = #shape,                                                                   \
        .meaning = means,                                                                 \
        .fields = shape##_fields,                                                         \
        .field_count = sizeof shape##_fields / sizeof *shape##_fields,                    \
        .size = sizeof(S),                                                                \
        .check = checked,                                                                 \
    };
#define FIELD_AS(json, kind, member, ...)                                                  \
    {                                                                                      \
        .name = json, .type = EMP_FIELD_##kind, .offset = offsetof(S, member), __VA_ARGS__ \
    }
#define FIELD(kind, member, ...) FIELD_AS(#member, kind, member, __VA_ARGS__)
#define EMP_TEXT(member, most, how, means) \
    FIELD(STR, member, .max = most, .flags = (how) | EMP_FIELD_CUT, .meaning = means),
#define EMP_NAME(member, least, most, how, means) \
    FIELD(NAME, member, .min = least, .max = most, .flags = how, .meaning = means),
#define EMP_WHOLE(kind, member, least, most, how, means) \
    FIELD(kind, member, .min = least, .max = most, .flags = how, .meaning = means),
#define EMP_NUMBER(kind, member, least, most, how, means) \
    FIELD(kind, member, .min = least, .max = most, .flags = how, .meaning = means),
#define EMP_FLAG(member, means) FIELD(BOOL, member, .meaning = means),
#define EMP_WORD(member, list, how, means) \
    FIELD(WORD, member, .words = &(list), .flags = how, .meaning = means),
#define EMP_CODE_AS(json, member, means) FIELD_AS(json, ERROR, member, .meaning = means),
#define EMP_NAMES_AS(json, member, count, most, each, how, means)                  \
    FIELD_AS(json, NAMES, member, .count_offset = offsetof(S, count), .max = most, \
             .each_max = each, .flags = how, .meaning = means),
#define EMP_ONE_AS(json, member, of, how, means) \
    FIELD_AS(json, SHAPE, member, .shape = &emp_shape_of_##of, .flags = how, .meaning = means),
#define EMP_MANY(member, count, of, most, how, means)                                      \
    FIELD(SHAPES, member, .count_offset = offsetof(S, count), .shape = &emp_shape_of_##of, \
          .max = most, .flags = how, .meaning = means),
#define EMP_RAW(member, kind, most, how, means) \
    FIELD(kind, member, .max = most, .flags = how, .meaning = means),
#define EMP_SHA256(member, means) FIELD(SHA256, member, .meaning = means),
#define EMP_CODEC(member, count, how, most, means)                                             \
    FIELD(CODEC, member, .count_offset = offsetof(S, count), .codec = &emp_##how, .max = most, \
          .meaning = means),
#include "proto/message.def"

static const struct emp_shape *const shapes[] = {
    [EMP_MESSAGE_HELLO] = &emp_shape_of_hello,
    [EMP_MESSAGE_BEAT] = &emp_shape_of_beat,
    [EMP_MESSAGE_STARTED] = &emp_shape_of_started,
    [EMP_MESSAGE_PROGRESS] = &emp_shape_of_progress,
    [EMP_MESSAGE_COMPLETED] = &emp_shape_of_completed,
    [EMP_MESSAGE_FAILED] = &emp_shape_of_failed,
    [EMP_MESSAGE_RETURNED] = &emp_shape_of_returned,
    [EMP_MESSAGE_COPIES] = &emp_shape_of_copies,
    [EMP_MESSAGE_GOODBYE] = &emp_shape_of_goodbye,
    [EMP_MESSAGE_WELCOME] = &emp_shape_of_welcome,
    [EMP_MESSAGE_REFUSED] = &emp_shape_of_refused,
    [EMP_MESSAGE_ASSIGN] = &emp_shape_of_assign,
    [EMP_MESSAGE_CANCEL] = &emp_shape_of_cancel,
    [EMP_MESSAGE_ACK] = &emp_shape_of_ack,
    [EMP_MESSAGE_DRAIN] = &emp_shape_of_drain,
    [EMP_MESSAGE_WORTH] = &emp_shape_of_worth,
    [EMP_MESSAGE_PLAN] = &emp_shape_of_plan,
};
_Static_assert(sizeof shapes / sizeof *shapes == EMP_MESSAGE_COUNT, "a shape for every message");

const struct emp_shape *emp_message_shape(enum emp_message_kind kind)
{
    return (unsigned)kind < EMP_MESSAGE_COUNT ? shapes[kind] : NULL;
}
