/* Files: TIME.box is a magic word and sealed blocks: header (number, lengths, hash of the plain
 * bytes), then zstd. TIME.box.tail is the blocks in memory, each with its number and how many bytes
 * of it are good. A block that is sealed stays in the tail until its place is needed, so a reader
 * takes from the tail what follows the last one in the file. */
#include "broker/blackbox.h"

#include "broker/blackbox_format.h"
#include "os/files.h"
#include "os/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { PATH_BYTES = 4096, FILES_MAX = 4096, LEVEL = 1 };
static const char magic[8] = "EMPBOX1";

struct block {
    uint64_t number;      /* 1, 2, …; 0: never used */
    _Atomic uint32_t len; /* good bytes; grows as records are whole */
    uint32_t pad;
    unsigned char bytes[EMP_BLACKBOX_BLOCK_BYTES];
};
struct sealed {
    uint64_t number;
    uint32_t packed, plain;
    uint64_t hash;
};

struct emp_blackbox {
    char path[PATH_BYTES], tail_path[PATH_BYTES];
    int fd;
    struct block *blocks; /* [EMP_BLACKBOX_BLOCKS], mapped */
    struct emp_blackbox_clock clock;
    struct emp_arena scratch;
    struct emp_buf record;
    uint64_t number;   /* of the block being filled */
    int64_t bytes_max; /* of this recording */
    bool starting;     /* may wait for the thread */
    const char *ended;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t sealed, written; /* highest numbers, under the lock */
    bool closing;
    _Atomic int64_t bytes;
    atomic_int failed; /* EMP_E_* of the thread's last write */
};

static struct block *block_of(struct emp_blackbox *b, uint64_t number)
{
    return &b->blocks[number % EMP_BLACKBOX_BLOCKS];
}

/* ------------------------------------------------------------------ the thread */

static int block_write(struct emp_blackbox *b, const struct block *k, void *packed, size_t room)
{
    uint32_t len = atomic_load(&k->len);
    size_t n = ZSTD_compress(packed, room, k->bytes, len, LEVEL);

    if (ZSTD_isError(n))
        return EMP_E_INTERNAL;
    struct sealed head = {k->number, (uint32_t)n, len,
                          emp_str_hash((struct emp_str){(const char *)k->bytes, len})};
    int r = emp_fd_write_all(b->fd, &head, sizeof head);
    if (r == 0)
        r = emp_fd_write_all(b->fd, packed, n);
    atomic_fetch_add(&b->bytes, (int64_t)(sizeof head + n));
    return r;
}

static void *run(void *arg)
{
    struct emp_blackbox *b = arg;
    size_t room = ZSTD_compressBound(EMP_BLACKBOX_BLOCK_BYTES);
    void *packed = malloc(room);

    if (!packed)
        abort();
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (b->written == b->sealed && !b->closing)
            pthread_cond_wait(&b->changed, &b->lock);
        if (b->written == b->sealed)
            break;
        uint64_t next = b->written + 1;
        pthread_mutex_unlock(&b->lock);
        int r = block_write(b, block_of(b, next), packed, room);
        if (r < 0)
            atomic_store(&b->failed, r);
        pthread_mutex_lock(&b->lock);
        b->written = next;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    free(packed);
    return NULL;
}

/* ------------------------------------------------------------------ recording */

static void begin_block(struct emp_blackbox *b, uint64_t number)
{
    struct block *k = block_of(b, number);

    b->number = number;
    atomic_store(&k->len, 0);
    k->number = number;
}

/* Hands the block on and begins the next; false: that one is not written yet. */
static bool seal(struct emp_blackbox *b, bool wait)
{
    pthread_mutex_lock(&b->lock);
    b->sealed = b->number;
    pthread_cond_broadcast(&b->changed);
    uint64_t next = b->number + 1;
    while (wait && b->written + EMP_BLACKBOX_BLOCKS < next)
        pthread_cond_wait(&b->changed, &b->lock);
    bool free_place = b->written + EMP_BLACKBOX_BLOCKS >= next;
    pthread_mutex_unlock(&b->lock);
    if (free_place)
        begin_block(b, next);
    return free_place;
}

static void append(struct emp_blackbox *b, const void *p, size_t len)
{
    struct block *k = block_of(b, b->number);
    uint32_t at = atomic_load(&k->len);

    memcpy(k->bytes + at, p, len);
    atomic_store_explicit(&k->len, at + (uint32_t)len, memory_order_release);
}

/* Ends the recording, saying so in it where there is room. */
static void stop(struct emp_blackbox *b, const char *reason, bool say_in_it)
{
    struct emp_blackbox_record r = {.kind = EMP_BLACKBOX_END, .reason = emp_str_z(reason)};

    if (b->ended)
        return;
    b->ended = reason;
    emp_buf_clear(&b->record);
    if (say_in_it && emp_blackbox_write(&b->clock, &r, &b->scratch, &b->record) == 0 &&
        atomic_load(&block_of(b, b->number)->len) + b->record.len <= EMP_BLACKBOX_BLOCK_BYTES)
        append(b, b->record.data, b->record.len);
    emp_log_warn("the black box %s records no more: %s", b->path, reason);
}

static void put(struct emp_blackbox *b, const struct emp_blackbox_record *r)
{
    if (!b || b->ended)
        return;
    emp_buf_clear(&b->record);
    int code = emp_blackbox_write(&b->clock, r, &b->scratch, &b->record);
    if (code < 0 || b->record.failed) {
        stop(b,
             code == EMP_E_INTERNAL ? "an event of a kind that it does not know"
                                    : "an event larger than it takes",
             true);
        return;
    }
    if (atomic_load(&b->failed)) {
        stop(b, "its file cannot be written", true);
        return;
    }
    if (atomic_load(&b->bytes) + EMP_BLACKBOX_BLOCK_BYTES > b->bytes_max) {
        stop(b, "it has filled its share of blackbox.size", true);
        return;
    }
    uint32_t len = atomic_load(&block_of(b, b->number)->len);
    if (len + b->record.len > EMP_BLACKBOX_BLOCK_BYTES && !seal(b, b->starting)) {
        stop(b, "the disk does not keep up", false);
        return;
    }
    append(b, b->record.data, b->record.len);
}

void emp_blackbox_restored(struct emp_blackbox *b, const struct emp_change *change)
{
    put(b, &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_RESTORE, .change = *change});
}

void emp_blackbox_started(struct emp_blackbox *b, struct emp_now now, emp_job_num last_num)
{
    if (!b)
        return;
    put(b, &(struct emp_blackbox_record){
               .kind = EMP_BLACKBOX_START, .now = now, .last_num = last_num});
    b->starting = false;
}

void emp_blackbox_event(struct emp_blackbox *b, struct emp_now now, const struct emp_event *e)
{
    if (b && !b->ended)
        put(b, &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_EVENT, .now = now, .event = *e});
}

void emp_blackbox_answered(struct emp_blackbox *b, const struct emp_action *actions, size_t count)
{
    if (b && !b->ended)
        put(b, &(struct emp_blackbox_record){
                   .kind = EMP_BLACKBOX_ANSWER,
                   .answer = {emp_blackbox_hash(actions, count), (uint32_t)count}});
}

const char *emp_blackbox_ended(const struct emp_blackbox *b)
{
    return b ? b->ended : NULL;
}

/* ------------------------------------------------------------------ the ring of recordings */

struct old {
    char name[64];
    int64_t bytes;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct old *)a)->name, ((const struct old *)b)->name);
}

static bool is_recording(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && len < sizeof((struct old *)0)->name && strcmp(name + len - 4, ".box") == 0;
}

static int64_t file_bytes(const char *dir, const char *name, const char *suffix)
{
    char path[PATH_BYTES];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s%s", dir, name, suffix);
    return stat(path, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0;
}

static void old_remove(const char *dir, const char *name)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s.tail", dir, name);
    unlink(path);
    emp_log_info("removed the old black box %s/%s", dir, name);
}

/* Removes the oldest recordings until the rest fits. */
static void make_room(const char *dir, int64_t bytes_max)
{
    struct old *all = calloc(FILES_MAX, sizeof *all);
    size_t count = 0;
    int64_t sum = 0;
    DIR *d = opendir(dir);

    for (struct dirent *e; all && d && count < FILES_MAX && (e = readdir(d));) {
        if (!is_recording(e->d_name))
            continue;
        snprintf(all[count].name, sizeof all[count].name, "%.60s", e->d_name);
        all[count].bytes = file_bytes(dir, e->d_name, "") + file_bytes(dir, e->d_name, ".tail");
        sum += all[count++].bytes;
    }
    if (d)
        closedir(d);
    if (all)
        qsort(all, count, sizeof *all, by_name);
    for (size_t i = 0; i < count && sum > bytes_max; i++) {
        old_remove(dir, all[i].name);
        sum -= all[i].bytes;
    }
    free(all);
}

/* ------------------------------------------------------------------ life */

static int open_files(struct emp_blackbox *b, struct emp_error *err)
{
    b->fd = open(b->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (b->fd < 0)
        return emp_fail(err, emp_os_error(errno), "blackbox.size", "%s cannot be made: %s", b->path,
                        strerror(errno));
    int tail = open(b->tail_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t bytes = EMP_BLACKBOX_BLOCKS * sizeof(struct block);
    /* Allocated, not only long: a disk that is full later must not end the process by SIGBUS. */
    int e = tail < 0 ? errno : posix_fallocate(tail, 0, (off_t)bytes);
    if (e == 0) {
        b->blocks = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, tail, 0);
        e = b->blocks == MAP_FAILED ? errno : 0;
    }
    if (tail >= 0)
        close(tail);
    if (e == 0)
        return emp_fd_write_all(b->fd, magic, sizeof magic);
    b->blocks = NULL;
    return emp_fail(err, emp_os_error(e), "blackbox.size", "%s cannot be made: %s", b->tail_path,
                    strerror(e));
}

static void release(struct emp_blackbox *b)
{
    if (b->blocks)
        munmap(b->blocks, EMP_BLACKBOX_BLOCKS * sizeof(struct block));
    if (b->fd >= 0)
        close(b->fd);
    emp_arena_release(&b->scratch);
    emp_buf_release(&b->record);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
    free(b);
}

/* "20261125T094641.123Z.box": the order of names is that of time. */
static void name_files(struct emp_blackbox *b, const char *dir, emp_wall_ms now)
{
    char iso[EMP_ISO_MAX], name[EMP_ISO_MAX];
    size_t n = 0;

    emp_iso_format(now, iso);
    for (const char *p = iso; *p; p++)
        if (*p != '-' && *p != ':')
            name[n++] = *p;
    name[n] = '\0';
    snprintf(b->path, sizeof b->path, "%s/%s.box", dir, name);
    snprintf(b->tail_path, sizeof b->tail_path, "%s/%s.box.tail", dir, name);
}

int emp_blackbox_open(const struct emp_blackbox_options *o, struct emp_blackbox **ret,
                      struct emp_error *err)
{
    char dir[PATH_BYTES - 64];
    struct emp_blackbox *b;

    if (snprintf(dir, sizeof dir, "%s/blackbox", o->data) >= (int)sizeof dir)
        return emp_fail(err, EMP_E_INVALID, "data", "the path is too long");
    int r = emp_dir_make(dir, 0700, err);
    if (r < 0)
        return r;
    make_room(dir, o->bytes_max / 2);
    b = calloc(1, sizeof *b);
    if (!b)
        abort();
    b->fd = -1;
    b->bytes_max = o->bytes_max / 2;
    b->starting = true;
    emp_arena_init(&b->scratch, 0);
    emp_buf_init(&b->record, EMP_BLACKBOX_RECORD_MAX);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    name_files(b, dir, o->now);
    r = open_files(b, err);
    if (r == 0 && pthread_create(&b->thread, NULL, run, b) != 0)
        r = emp_fail(err, EMP_E_INTERNAL, NULL, "no thread for the black box");
    if (r < 0) {
        release(b);
        return r;
    }
    begin_block(b, 1);
    put(b, &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_HEAD,
                                         .head = {.version = EMP_STR(EMP_VERSION),
                                                  .policy = emp_str_z(o->policy),
                                                  .seed = o->seed,
                                                  .settings = *o->settings}});
    *ret = b;
    return 0;
}

void emp_blackbox_close(struct emp_blackbox *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->sealed = b->number;
    b->closing = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    if (atomic_load(&b->failed) == 0)
        unlink(b->tail_path);
    release(b);
}

/* ------------------------------------------------------------------ reading */

struct reading {
    FILE *in;
    const char *path;
    int (*block)(void *ctx, struct emp_str bytes);
    void *ctx;
    uint64_t last; /* number of the last block read */
    unsigned char *packed, *plain;
    bool cut;
};

/* 1: one block; 0: no whole one is left. */
static int sealed_next(struct reading *r, struct emp_error *err)
{
    struct sealed head;
    size_t room = ZSTD_compressBound(EMP_BLACKBOX_BLOCK_BYTES);
    size_t n = fread(&head, 1, sizeof head, r->in);

    r->cut = n > 0;
    if (n < sizeof head)
        return 0;
    if (head.packed > room || head.plain > EMP_BLACKBOX_BLOCK_BYTES || head.number != r->last + 1)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "%s: block %llu is damaged", r->path,
                        (unsigned long long)r->last + 1);
    if (fread(r->packed, 1, head.packed, r->in) < head.packed)
        return 0;
    r->cut = false;
    struct emp_str bytes = {(const char *)r->plain, head.plain};
    size_t plain = ZSTD_decompress(r->plain, EMP_BLACKBOX_BLOCK_BYTES, r->packed, head.packed);
    if (ZSTD_isError(plain) || plain != head.plain || emp_str_hash(bytes) != head.hash)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "%s: block %llu is damaged", r->path,
                        (unsigned long long)r->last + 1);
    r->last = head.number;
    int code = r->block(r->ctx, bytes);
    return code < 0 ? code : 1;
}

static const struct block *tail_find(const struct block *blocks, uint64_t number)
{
    const struct block *k = &blocks[number % EMP_BLACKBOX_BLOCKS];

    return k->number == number && k->len <= EMP_BLACKBOX_BLOCK_BYTES ? k : NULL;
}

/* What follows in the tail, if there is one. */
static int tail_read(struct reading *r)
{
    char path[PATH_BYTES];
    size_t bytes = EMP_BLACKBOX_BLOCKS * sizeof(struct block);
    struct stat st;
    int code = 0;

    snprintf(path, sizeof path, "%s.tail", r->path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const struct block *blocks = MAP_FAILED;
    if (fstat(fd, &st) == 0 && (size_t)st.st_size == bytes)
        blocks = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (blocks == MAP_FAILED)
        return 0;
    for (const struct block *k; code == 0 && (k = tail_find(blocks, r->last + 1)); r->last++) {
        r->cut = false;
        code = r->block(r->ctx, (struct emp_str){(const char *)k->bytes, k->len});
    }
    munmap((void *)(uintptr_t)blocks, bytes);
    return code;
}

int emp_blackbox_blocks(const char *path, int (*block)(void *ctx, struct emp_str bytes), void *ctx,
                        bool *ret_cut, struct emp_error *err)
{
    struct reading r = {.in = fopen(path, "re"), .path = path, .block = block, .ctx = ctx};
    char word[sizeof magic];
    int code;

    if (!r.in)
        return emp_fail(err, emp_os_error(errno), NULL, "%s cannot be read: %s", path,
                        strerror(errno));
    r.packed = malloc(ZSTD_compressBound(EMP_BLACKBOX_BLOCK_BYTES));
    r.plain = malloc(EMP_BLACKBOX_BLOCK_BYTES);
    if (!r.packed || !r.plain)
        abort();
    if (fread(word, 1, sizeof word, r.in) < sizeof word || memcmp(word, magic, sizeof word) != 0)
        code = emp_fail(err, EMP_E_MALFORMED, NULL, "%s is no recording of a black box", path);
    else
        while ((code = sealed_next(&r, err)) == 1)
            ;
    if (code == 0)
        code = tail_read(&r);
    *ret_cut = r.cut;
    fclose(r.in);
    free(r.packed);
    free(r.plain);
    return code;
}
