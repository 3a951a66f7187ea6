/* One pass over the payload's bytes, strings skipped whole: no tree is built of a workflow that may
 * have hundreds of nodes, of which half a dozen numbers matter. The text was parsed before, so that
 * it is JSON is relied on for the meaning, never for staying inside it. */
#include "proto/job_work.h"

#include "domain/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 32, NUMBER_MAX = 32 };
#define MOST 1e9

enum word { STEPS, IMAGES, FRAMES, WIDTH, HEIGHT, LENGTH, WORDS, NO_WORD = WORDS };

/* What is said in one object. */
struct object {
    double width, height, length;
};
struct scan {
    const char *at, *end;
    struct object open[DEPTH];
    uint32_t depth; /* of what is open; beyond DEPTH nothing is looked at */
    struct emp_job_work *ret;
};

static enum word word_of(struct emp_str key)
{
    static const struct {
        struct emp_str name;
        enum word word;
    } words[] = {
        {EMP_STR("steps"), STEPS},
        {EMP_STR("num_inference_steps"), STEPS},
        {EMP_STR("sampling_steps"), STEPS},
        {EMP_STR("max_tokens"), STEPS},
        {EMP_STR("max_new_tokens"), STEPS},
        {EMP_STR("num_predict"), STEPS},
        {EMP_STR("batch_size"), IMAGES},
        {EMP_STR("num_images"), IMAGES},
        {EMP_STR("num_images_per_prompt"), IMAGES},
        {EMP_STR("images"), IMAGES},
        {EMP_STR("frames"), FRAMES},
        {EMP_STR("num_frames"), FRAMES},
        {EMP_STR("frame_count"), FRAMES},
        {EMP_STR("video_frames"), FRAMES},
        {EMP_STR("width"), WIDTH},
        {EMP_STR("height"), HEIGHT},
        {EMP_STR("length"), LENGTH},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (emp_str_eq(key, words[i].name))
            return words[i].word;
    return NO_WORD;
}

static float larger(float old, double v)
{
    return v > (double)old ? (float)v : old;
}

static void said(struct scan *s, enum word w, double v)
{
    struct object *o = s->depth > 0 && s->depth <= DEPTH ? &s->open[s->depth - 1] : NULL;
    if (o == NULL || !(v > 0) || !(v <= MOST))
        return;
    if (w == STEPS)
        s->ret->steps = (float)fmin((double)s->ret->steps + v, MOST);
    else if (w == IMAGES)
        s->ret->images = larger(s->ret->images, v);
    else if (w == FRAMES)
        s->ret->frames = larger(s->ret->frames, v);
    else if (w == WIDTH)
        o->width = v;
    else if (w == HEIGHT)
        o->height = v;
    else if (w == LENGTH)
        o->length = v;
}

static void opened(struct scan *s)
{
    if (s->depth < DEPTH)
        s->open[s->depth] = (struct object){0};
    s->depth++;
}

static void closed(struct scan *s)
{
    if (s->depth == 0)
        return;
    if (s->depth <= DEPTH) {
        const struct object *o = &s->open[s->depth - 1];
        s->ret->pixels = larger(s->ret->pixels, fmin(o->width * o->height, MOST));
        if (o->width > 0 && o->height > 0)
            s->ret->frames = larger(s->ret->frames, o->length);
    }
    s->depth--;
}

/* s->at stands behind the opening quote; behind the closing one afterwards. */
static struct emp_str string(struct scan *s)
{
    const char *from = s->at, *quote;
    while ((quote = memchr(s->at, '"', (size_t)(s->end - s->at)))) {
        const char *back = quote;
        while (back > from && back[-1] == '\\')
            back--;
        s->at = quote + 1;
        if ((quote - back) % 2 == 0)
            return (struct emp_str){from, (uint32_t)(quote - from)};
    }
    s->at = s->end;
    return (struct emp_str){from, 0};
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool starts_number(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/* A member's name stands before; takes the number behind it, if it is one. */
static void value(struct scan *s, struct emp_str key)
{
    char text[NUMBER_MAX];
    uint32_t n = 0;
    skip_space(s);
    if (s->at == s->end || *s->at != ':')
        return;
    s->at++;
    skip_space(s);
    if (s->at == s->end || !starts_number(*s->at))
        return;
    enum word w = word_of(key);
    for (; w != NO_WORD && s->at < s->end && n + 1 < NUMBER_MAX; s->at++) {
        char c = *s->at;
        if (!starts_number(c) && c != '+' && c != '.' && c != 'e' && c != 'E')
            break;
        text[n++] = c;
    }
    text[n] = '\0';
    if (n)
        said(s, w, strtod(text, NULL));
}

void emp_job_work_read(struct emp_str payload, struct emp_job_work *ret)
{
    struct scan s = {.at = payload.ptr, .ret = ret};
    *ret = (struct emp_job_work){0};
    if (payload.len == 0)
        return;
    s.end = payload.ptr + payload.len;
    while (s.at < s.end) {
        char c = *s.at++;
        if (c == '"')
            value(&s, string(&s));
        else if (c == '{')
            opened(&s);
        else if (c == '}')
            closed(&s);
    }
}
