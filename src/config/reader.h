/* YAML into a configuration: the part of config.c that knows libyaml. */
#ifndef EMP_CONFIG_READER_H
#define EMP_CONFIG_READER_H

#include "config/config.h"

enum {
    EMP_YAML_DEPTH_MAX = 64,       /* nesting, checked before libyaml's own stack grows */
    EMP_YAML_VISITS_MAX = 4000000, /* nodes looked at: aliases cannot blow a small file up */
    EMP_YAML_MAP_MAX = 1024,       /* keys of one mapping */
};

/* Fills `c` from text; every fault goes to emp_config_fault. Valid keys beside a faulty one are
 * still taken. */
void emp_config_read_yaml(struct emp_config *c, const char *text, size_t len);

/* Keeps a fault (the first EMP_CONFIG_FAULTS_MAX); returns its code. */
int emp_config_fault(struct emp_config *c, const struct emp_error *e);

#endif
