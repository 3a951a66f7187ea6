/* The directory of models. What stands under a model's own path is whole and verified; everything
 * else is kept aside:
 *
 *   - DIR/<path>: a whole model
 *   - DIR/.emp/KEY.json: {"name","path","bytes","sha256","etag","url"}, written before the first
 *     byte is fetched; KEY is made from the name
 *   - DIR/.emp/KEY.part: what has been fetched so far; becomes DIR/<path> by rename, after fsync
 *   - DIR/.emp/lock: one agent at a time
 *
 * So at any crash a model is either there, or half and known by name, or not there. Files that no
 * KEY.json names were put there by others: they are offered as models named like their path,
 * counted, and never evicted.
 *
 * Deletions and the search for foreign files run on libuv's thread pool; everything else on the
 * loop's thread. */
#ifndef EMP_AGENT_MODELS_H
#define EMP_AGENT_MODELS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/slab.h"
#include "domain/model.h"
#include "machine/machine.h"
#include "os/files.h"

#include <uv.h>

enum { EMP_MODELS_PATH = 4096, EMP_MODELS_KEY = 33, EMP_MODELS_DEPTH_MAX = 16 };

struct emp_models {
    uv_loop_t *loop;
    char dir[EMP_MODELS_PATH];   /* absolute */
    char aside[EMP_MODELS_PATH]; /* DIR/.emp */
    struct emp_dir_lock lock;    /* on it */
    struct emp_arena arena;      /* of the index */
    struct emp_map by_path;      /* hash of a noted path -> number in keys; may be out of date */
    struct emp_slab keys;        /* char[EMP_MODELS_KEY]: KEY of the note that has it */
};

/* Makes the directories; `dir` is made absolute. 0 or EMP_E_*; CONFLICT: another agent keeps its
 * models there, and would not count ours. */
int emp_models_init(struct emp_models *m, uv_loop_t *loop, const char *dir, struct emp_error *err);
void emp_models_release(struct emp_models *m);

/* What is there, in the arena; half files without KEY.json are removed, entries without a file
 * forgotten. Blocks. 0 or EMP_E_*. */
int emp_models_inventory(struct emp_models *m, struct emp_arena *a, struct emp_machine_found **ret,
                         uint32_t *ret_count, int64_t *ret_bytes, struct emp_error *err);

/* Deletes a model with all that belongs to it. `done` comes in a later turn: 0, or why the file is
 * still there. */
void emp_models_delete(struct emp_models *m, struct emp_str name, struct emp_str path,
                       void (*done)(void *arg, struct emp_str name, const struct emp_error *err),
                       void *arg);

/* Paths, for the one who fetches. 0 or EMP_E_INVALID: the path could leave the directory, or is too
 * long. */
int emp_models_path(const struct emp_models *m, struct emp_str path, char out[EMP_MODELS_PATH],
                    struct emp_error *err);
void emp_models_part_path(const struct emp_models *m, struct emp_str name,
                          char out[EMP_MODELS_PATH]);

/* KEY.json as it stands. */
struct emp_models_note {
    struct emp_str name, path, etag, url; /* etag and url: of the origin the part came from */
    char sha256[65];
    int64_t bytes;
    bool pinned;
};
int emp_models_note_write(struct emp_models *m, const struct emp_models_note *n,
                          struct emp_error *err);
void emp_models_note_drop(const struct emp_models *m, struct emp_str name);
int emp_models_note_read(const struct emp_models *m, struct emp_str name, struct emp_arena *a,
                         struct emp_models_note *ret);
/* The name of another model whose path this is; empty when there is none. In the arena. Reads one
 * note at most; knows those of the inventory and those written since. */
struct emp_str emp_models_path_owner(const struct emp_models *m, struct emp_arena *a,
                                     struct emp_str name, struct emp_str path);

#endif
