/* docs/protocol.md carries the tables of message.def between two marks; here they are made again
 * and compared. With --print they go to stdout: that is how the page is brought up to date (see its
 * end). */
#include "proto/message_shapes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static const char begin_mark[] = "<!-- fields: begin -->\n", end_mark[] = "<!-- fields: end -->";
static const char *page_path;

static void add_field(struct emp_buf *b, struct emp_arena *a, const struct emp_field *f)
{
    emp_buf_printf(b, "| `%s` | %s | %s | %s |\n", f->name, emp_field_type_text(a, f),
                   f->flags & EMP_FIELD_REQUIRED ? "yes" : "", f->meaning);
}

static void add_shape(struct emp_buf *b, struct emp_arena *a, const char *title,
                      const struct emp_shape *s)
{
    emp_buf_printf(
        b, "### %s\n\n%s\n\n| field | type and range | required | meaning |\n|---|---|---|---|\n",
        title, s->meaning);
    for (uint32_t i = 0; i < s->field_count; i++)
        add_field(b, a, &s->fields[i]);
    emp_buf_addz(b, "\n");
}

static void add_error_codes(struct emp_buf *b)
{
    emp_buf_addz(b, "## Error codes\n\n| code | HTTP status | meaning |\n|---|---|---|\n");
#define EMP_ERROR(name, code, status, exit_status, retryable, text) \
    emp_buf_printf(b, "| `%s` | %d | %s |\n", code, status, text);
#include "base/error.def"
#undef EMP_ERROR
    emp_buf_addz(b, "\n");
}

static void add_tables(struct emp_buf *b, struct emp_arena *a)
{
    static const struct emp_shape *const inner[] = {
        &emp_shape_of_machine, &emp_shape_of_gpu,   &emp_shape_of_copy,     &emp_shape_of_held,
        &emp_shape_of_output,  &emp_shape_of_model, &emp_shape_of_worth_of, &emp_shape_of_planned,
    };
    emp_buf_addz(b, "## Messages of the agent\n\n");
    for (unsigned k = 0; k < EMP_MESSAGE_COUNT; k++) {
        if (k == EMP_MESSAGE_WELCOME)
            emp_buf_addz(b, "## Messages of the broker\n\n");
        add_shape(b, a, emp_arena_printf(a, "`%s`", emp_message_word((enum emp_message_kind)k)),
                  emp_message_shape((enum emp_message_kind)k));
    }
    emp_buf_addz(b, "## Objects inside\n\n");
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        add_shape(b, a, inner[i]->name, inner[i]);
    add_error_codes(b);
}

static char *read_page(void)
{
    FILE *f = fopen(page_path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long len = ftell(f);
    char *text = calloc(1, (size_t)len + 1);
    rewind(f);
    assert_int_equal(fread(text, 1, (size_t)len, f), len);
    fclose(f);
    return text;
}

static void the_page_has_the_tables(void **state)
{
    struct emp_arena a;
    struct emp_buf b;
    (void)state;
    emp_arena_init(&a, 0);
    emp_buf_init(&b, 1 << 20);
    add_tables(&b, &a);
    char *page = read_page(), *from = strstr(page, begin_mark), *to = strstr(page, end_mark);
    assert_true(from && to && from < to);
    from += sizeof begin_mark - 1;
    *to = '\0';
    if (strcmp(from, b.data) != 0)
        fail_msg("%s differs from src/proto/message.def: put the output of %s between its marks",
                 page_path, "test_proto_protocol_page --print");
    free(page);
    emp_buf_release(&b);
    emp_arena_release(&a);
}

static int print_tables(void)
{
    struct emp_arena a;
    struct emp_buf b;
    emp_arena_init(&a, 0);
    emp_buf_init(&b, 1 << 20);
    add_tables(&b, &a);
    fputs(b.data, stdout);
    emp_buf_release(&b);
    emp_arena_release(&a);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_has_the_tables),
    };
    page_path = argc > 1 ? argv[1] : "docs/protocol.md";
    if (strcmp(page_path, "--print") == 0)
        return print_tables();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
