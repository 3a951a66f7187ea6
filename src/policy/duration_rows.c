/* What was learned of run times as rows for the store: row 0 is the regression, the errors and the
 * load; each other one a page of likes. Fixed-width little-endian numbers. Reading trusts nothing:
 * what is not exactly of this form is refused before anything is changed. */
#include "base/bytes.h"
#include "base/error.h"
#include "policy/duration_internal.h"

#include <math.h>
#include <string.h>

enum {
    LAYOUT = 2,
    NUMBERS = FEATURES * FEATURES + 2 * FEATURES + 1, /* gram, right, weight, load */
    HEAD_BYTES = 8 + 8 + LEVELS * 4 + NUMBERS * 8 + (LEVELS + 2) * EMP_CONFORM_BINS * 4,
    LIKE_BYTES = 24,
};
_Static_assert((int)HEAD_BYTES <= (int)EMP_DURATION_ROW_BYTES_MAX, "rows are bounded");
_Static_assert(8 + (int)PAGE * (int)LIKE_BYTES <= (int)EMP_DURATION_ROW_BYTES_MAX,
               "rows are bounded");

/* ---- numbers ---- */

static double get_double(const unsigned char **at, bool *bad)
{
    double d = emp_bytes_get_double(at);
    *bad |= !(fabs(d) < 1e15);
    return d;
}

static float get_float(const unsigned char **at, bool *bad)
{
    float f = emp_bytes_get_float(at);
    *bad |= !(fabsf(f) < 1e9F);
    return f;
}

/* ---- the head ---- */

/* Where the head's numbers stand, in the row's order. */
static void numbers(struct emp_duration_state *s, double *at[NUMBERS])
{
    int n = 0;
    for (int i = 0; i < FEATURES * FEATURES; i++)
        at[n++] = &s->gram[i];
    for (int i = 0; i < FEATURES; i++)
        at[n++] = &s->right[i];
    for (int i = 0; i < FEATURES; i++)
        at[n++] = &s->weight[i];
    at[n] = &s->load;
}

static struct emp_conform *errors(struct emp_duration_state *s, int i)
{
    return i <= LEVELS ? &s->errors[i] : &s->pooled;
}

static void save_head(struct emp_duration_state *s, struct emp_arena *arena,
                      struct emp_duration_row *ret)
{
    double *at[NUMBERS];
    unsigned char *bytes = emp_arena_alloc(arena, HEAD_BYTES), *p = emp_bytes_put(bytes, LAYOUT, 8);
    p = emp_bytes_put(p, s->observed, 8);
    for (int i = 0; i < LEVELS; i++)
        p = emp_bytes_put(p, s->level[i].hand, 4);
    numbers(s, at);
    for (int i = 0; i < NUMBERS; i++)
        p = emp_bytes_put_double(p, *at[i]);
    for (int i = 0; i < LEVELS + 2; i++)
        for (int b = 0; b < EMP_CONFORM_BINS; b++)
            p = emp_bytes_put_float(p, errors(s, i)->bins[b]);
    *ret = (struct emp_duration_row){0, bytes, HEAD_BYTES};
}

static int load_head(struct emp_duration_state *s, const struct emp_duration_row *row)
{
    const unsigned char *p = row->bytes;
    double *at[NUMBERS], value[NUMBERS];
    float bins[LEVELS + 2][EMP_CONFORM_BINS];
    bool bad = row->length != HEAD_BYTES || emp_bytes_get(&p, 8) != LAYOUT;
    uint64_t observed = bad ? 0 : emp_bytes_get(&p, 8);
    uint32_t hand[LEVELS];
    for (int i = 0; i < LEVELS && !bad; i++) {
        hand[i] = (uint32_t)emp_bytes_get(&p, 4);
        bad |= hand[i] >= EMP_DURATION_LIKES_MAX;
    }
    for (int i = 0; i < NUMBERS && !bad; i++)
        value[i] = get_double(&p, &bad);
    for (int i = 0; i < (LEVELS + 2) * EMP_CONFORM_BINS && !bad; i++) {
        float *bin = &bins[i / EMP_CONFORM_BINS][i % EMP_CONFORM_BINS];
        *bin = get_float(&p, &bad);
        bad |= *bin < 0;
    }
    if (bad || observed == 0 || observed > INT64_MAX)
        return EMP_E_INVALID;
    numbers(s, at);
    for (int i = 0; i < NUMBERS; i++)
        *at[i] = value[i];
    for (int i = 0; i < LEVELS + 2; i++)
        memcpy(errors(s, i)->bins, bins[i], sizeof bins[i]);
    for (int i = 0; i < LEVELS; i++)
        s->level[i].hand = hand[i];
    s->observed = observed;
    return 0;
}

/* ---- likes ---- */

static void save_page(const struct level *l, uint32_t page, struct emp_arena *arena,
                      struct emp_duration_row *ret)
{
    uint32_t from = page * PAGE, n = l->count - from < PAGE ? l->count - from : PAGE;
    unsigned char *bytes = emp_arena_alloc(arena, 8 + (size_t)n * LIKE_BYTES);
    unsigned char *p = emp_bytes_put(bytes, LAYOUT, 8);
    for (uint32_t i = from; i < from + n; i++) {
        p = emp_bytes_put(emp_bytes_put(p, l->likes[i].key, 8), l->likes[i].touched, 8);
        p = emp_bytes_put_float(emp_bytes_put_float(p, l->likes[i].weight), l->likes[i].off);
    }
    ret->bytes = bytes;
    ret->length = 8 + n * LIKE_BYTES;
}

static int load_page(struct emp_arena *arena, struct level *l, uint32_t page,
                     const struct emp_duration_row *row)
{
    const unsigned char *p = row->bytes;
    struct like like[PAGE];
    uint32_t n = row->length > 8 ? (row->length - 8) / LIKE_BYTES : 0;
    bool bad = n == 0 || n > PAGE || row->length != 8 + n * LIKE_BYTES ||
               emp_bytes_get(&p, 8) != LAYOUT;
    for (uint32_t i = 0; i < n && !bad; i++) {
        like[i] = (struct like){.key = emp_bytes_get(&p, 8)};
        like[i].touched = emp_bytes_get(&p, 8);
        like[i].weight = get_float(&p, &bad);
        like[i].off = get_float(&p, &bad);
        bad |= like[i].weight < 0 || like[i].touched > INT64_MAX;
    }
    if (bad)
        return EMP_E_INVALID;
    while (l->count < page * PAGE + n) {
        emp_arena_reserve(arena, l->likes, l->count, l->cap);
        l->likes[l->count++] = (struct like){0};
    }
    for (uint32_t i = 0; i < n; i++) {
        l->likes[page * PAGE + i] = like[i];
        if (like[i].key)
            emp_map_put(&l->by_key, like[i].key, page * PAGE + i);
    }
    return 0;
}

/* ---- both ---- */

bool emp_duration_changed(struct emp_duration *d, struct emp_arena *arena,
                          struct emp_duration_row *ret)
{
    struct emp_duration_state *s = d->state;
    if (s->changed) {
        s->changed = false;
        save_head(s, arena, ret);
        return true;
    }
    for (uint32_t l = 0; l < LEVELS; l++) {
        if (s->level[l].changed == 0)
            continue;
        uint32_t page = (uint32_t)__builtin_ctzll(s->level[l].changed);
        s->level[l].changed &= s->level[l].changed - 1;
        ret->number = 1 + l * PAGES + page;
        save_page(&s->level[l], page, arena, ret);
        return true;
    }
    return false;
}

int emp_duration_load(struct emp_duration *d, const struct emp_duration_row *row)
{
    if (row->number == 0)
        return load_head(d->state, row);
    uint32_t level = (row->number - 1) / PAGES, page = (row->number - 1) % PAGES;
    return level < LEVELS ? load_page(d->arena, &d->state->level[level], page, row) : EMP_E_INVALID;
}
