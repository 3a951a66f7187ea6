/* cmocka with what it needs first; a directory of its own for each test; small files. */
#ifndef EMP_TEST_OS_CHECK_H
#define EMP_TEST_OS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* A fresh directory, current for the test, removed after it. */
struct place {
    char dir[64];
};

static inline int place_make(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/emp-test-os-XXXXXX");
    if (!mkdtemp(p->dir) || chdir(p->dir) != 0)
        return -1;
    *state = p;
    return 0;
}

static inline int place_remove(void **state)
{
    struct place *p = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    int r = chdir("/") == 0 ? system(command) : -1;
    free(p);
    return r;
}

static inline void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* The content, NUL-terminated, from malloc; NULL: not there. */
static inline char *get(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = calloc(1, 65536);
    size_t n = fread(text, 1, 65535, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static inline void assert_file(const char *path, const char *text)
{
    char *is = get(path);
    assert_non_null(is);
    assert_string_equal(is, text);
    free(is);
}

static inline bool there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static inline void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

#define place_test(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)

#endif
