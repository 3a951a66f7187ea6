/* See zip.h. Level 1: what is kept are prompts and workflows, small JSON, and the writer's time is
 * dearer than its last percent. */
#include "store/zip.h"

#include <stdlib.h>
#include <zstd.h>

enum { TRY_BYTES_MIN = 1024, LEVEL = 1 };

struct emp_zip {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

struct emp_zip *emp_zip_new(void)
{
    struct emp_zip *z = calloc(1, sizeof *z);
    if (!z)
        return NULL;
    z->pack = ZSTD_createCCtx();
    z->unpack = ZSTD_createDCtx();
    if (!z->pack || !z->unpack) {
        emp_zip_free(z);
        return NULL;
    }
    return z;
}

void emp_zip_free(struct emp_zip *z)
{
    if (!z)
        return;
    ZSTD_freeCCtx(z->pack);
    ZSTD_freeDCtx(z->unpack);
    free(z);
}

enum emp_zip_codec emp_zip_pack(struct emp_zip *z, struct emp_str in, struct emp_arena *a,
                                struct emp_str *ret)
{
    *ret = in;
    if (in.len < TRY_BYTES_MIN)
        return EMP_ZIP_NONE;
    size_t room = in.len - in.len / 8;
    char *out = emp_arena_alloc(a, room);
    size_t n = ZSTD_compressCCtx(z->pack, out, room, in.ptr, in.len, LEVEL);
    if (ZSTD_isError(n))
        return EMP_ZIP_NONE; // did not fit: not worth it
    *ret = (struct emp_str){out, (uint32_t)n};
    return EMP_ZIP_ZSTD;
}

static int unzip(struct emp_zip *z, struct emp_str in, size_t bytes_max, struct emp_arena *a,
                 struct emp_str *ret)
{
    unsigned long long size = ZSTD_getFrameContentSize(in.ptr, in.len);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > bytes_max)
        return EMP_E_INTERNAL;
    char *out = emp_arena_alloc(a, (size_t)size + 1);
    size_t n = ZSTD_decompressDCtx(z->unpack, out, (size_t)size, in.ptr, in.len);
    if (ZSTD_isError(n) || n != size)
        return EMP_E_INTERNAL;
    *ret = (struct emp_str){out, (uint32_t)n};
    return 0;
}

int emp_zip_unpack(struct emp_zip *z, int codec, struct emp_str in, size_t bytes_max,
                   struct emp_arena *a, struct emp_str *ret)
{
    if (codec == EMP_ZIP_ZSTD)
        return unzip(z, in, bytes_max, a, ret);
    if (codec != EMP_ZIP_NONE || in.len > bytes_max)
        return EMP_E_INTERNAL;
    char *out = emp_arena_alloc(a, (size_t)in.len + 1);
    if (in.len)
        memcpy(out, in.ptr, in.len);
    *ret = (struct emp_str){out, in.len};
    return 0;
}
