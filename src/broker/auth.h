/* Who may do what: API keys for clients, tokens for agents, both as `Authorization: Bearer …`.
 * Where none is configured, everybody who reaches the socket may; therefore a broker refuses to
 * listen beyond loopback then (emp_broker_may_listen). Pure, any thread. */
#ifndef EMP_BROKER_AUTH_H
#define EMP_BROKER_AUTH_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct emp_auth {
    const struct emp_str *api_keys, *agent_tokens;
    uint32_t api_key_count, agent_token_count;
};

/* Who must ask. */
enum emp_auth_role {
    EMP_AUTH_OPEN,   /* anybody: /health, /ready */
    EMP_AUTH_CLIENT, /* an API key */
    EMP_AUTH_AGENT,  /* an agent token */
};

/* 0, or EMP_E_UNAUTHORIZED with a text. `authorization` is the header's value, NULL when absent.
 * The time it takes does not depend on how much of a key was right. */
int emp_auth_check(const struct emp_auth *a, enum emp_auth_role role, const char *authorization,
                   struct emp_error *err);

#endif
