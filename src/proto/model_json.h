/* Catalogue entries as JSON: the body of POST /api/models, and files of the configuration or the
 * CLI.
 *
 *   name (required) · bytes (required; alias size) · kind · category · sha256 (64 hex digits) ·
 * urls[] (http, https; alias url) · path (relative; default: the name, where that is a safe path) ·
 * owner · pinned Strings point into the text or the arena. Pure, any thread. */
#ifndef EMP_PROTO_MODEL_JSON_H
#define EMP_PROTO_MODEL_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "domain/model.h"

/* One object, or {"models":[…]} with 1 … EMP_BATCH_JOBS_MAX of them: all are good or none is taken.
 * Two of one name or path are refused. 0 with *ret in the arena; EMP_E_MALFORMED, EMP_E_INVALID,
 * EMP_E_TOO_LARGE; err->field is "models[3].sha256". */
int emp_model_parse(struct emp_arena *a, const char *text, size_t len, struct emp_model **ret,
                    uint32_t *ret_count, struct emp_error *err);

/* Checks an entry from wherever it came (configuration), and completes it: an empty path becomes
 * the name, upper-case hex lower. 0 or EMP_E_INVALID with the field. */
int emp_model_check(struct emp_model *m, struct emp_error *err);

/* May this name a file below a directory of ours: relative, no empty, "." or ".." component, no
 * backslash, no control characters, no component over 255 bytes, at most EMP_PATH_MAX in all? For
 * models and for outputs. */
bool emp_path_safe(struct emp_str path);

#endif
