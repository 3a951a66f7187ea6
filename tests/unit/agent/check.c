#include "check.h"

#include "os/files.h"

#include <unistd.h>

static void on_beat(uv_timer_t *t)
{
    (void)t;
}

int place_make(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/emp-agent-XXXXXX");
    if (mkdtemp(p->dir) == NULL || uv_loop_init(&p->loop) < 0)
        return -1;
    emp_arena_init(&p->arena, 0);
    uv_timer_init(&p->loop, &p->heart);
    uv_timer_start(&p->heart, on_beat, 5, 5);
    uv_unref((uv_handle_t *)&p->heart);
    *state = p;
    return 0;
}

int place_remove(void **state)
{
    struct place *p = *state;
    emp_mono_ms last = emp_mono_now() + PLACE_WAIT_MS;
    while (uv_loop_alive(&p->loop) && emp_mono_now() < last)
        uv_run(&p->loop, UV_RUN_ONCE);
    bool left = uv_loop_alive(&p->loop);
    uv_close((uv_handle_t *)&p->heart, NULL);
    uv_run(&p->loop, UV_RUN_NOWAIT);
    if (left || uv_loop_close(&p->loop) < 0) {
        print_error("the loop was left with open handles\n");
        uv_print_all_handles(&p->loop, stderr);
        return -1;
    }
    emp_arena_release(&p->arena);
    emp_remove_tree(p->dir, NULL);
    free(p);
    return 0;
}

const char *place_path(struct place *p, const char *name)
{
    return emp_arena_printf(&p->arena, "%s/%s", p->dir, name);
}

void place_write(struct place *p, const char *name, const void *bytes, size_t len)
{
    const char *path = place_path(p, name);
    assert_int_equal(emp_dir_make_parent(path, 0755, NULL), 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

const char *place_read(struct place *p, const char *path)
{
    struct emp_buf b;
    char *text = NULL;
    emp_buf_init(&b, 1 << 24);
    if (emp_file_read_all(path, 1 << 24, &b, NULL) == 0)
        text = emp_arena_dup(&p->arena, b.data ? b.data : "", b.len + 1);
    emp_buf_release(&b);
    return text;
}

bool place_has(struct place *p, const char *name)
{
    return access(place_path(p, name), F_OK) == 0;
}
