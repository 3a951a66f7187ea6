/* A model: a file that jobs need on a machine's disk, as the catalogue knows it. Where a copy
 * stands: residency. */
#ifndef EMP_DOMAIN_MODEL_H
#define EMP_DOMAIN_MODEL_H

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Residency of a copy on one machine, worst first. A higher one includes the lower. */
enum emp_residency {
    EMP_RESIDENCY_NONE,
    EMP_RESIDENCY_FETCHING,
    EMP_RESIDENCY_DISK, /* whole and verified */
    EMP_RESIDENCY_RAM,
    EMP_RESIDENCY_GPU,
    EMP_RESIDENCY_COUNT
};
const char *emp_residency_word(enum emp_residency r);
int emp_residency_parse(struct emp_str word, enum emp_residency *ret);

struct emp_model {
    struct emp_str name;     /* unique; what jobs say */
    struct emp_str kind;     /* "checkpoint", "lora", "vae", "ocr", … free text */
    struct emp_str category; /* specialty it points to: "photography", "art", …; may be empty */
    struct emp_str path;     /* relative, under the machine's model directory */
    struct emp_str owner;    /* customer; empty: everybody's */
    char sha256[65];         /* lower-case hex; empty: not known, not checked */
    int64_t bytes;           /* > 0 */
    struct emp_str *urls;    /* mirrors, tried in turn */
    uint32_t url_count;      /* 0: cannot be fetched, only found (baked into an image) */
    bool pinned;             /* never evicted where it stands */
};

/* Does a model of this kind only modify another one that the job names too ("lora", "controlnet",
 * …)? */
bool emp_model_kind_modifies(struct emp_str kind);

/* A copy as a machine reports it. */
struct emp_copy {
    struct emp_str model;
    int64_t bytes;
    enum emp_residency residency;
    bool in_use;
};

#endif
