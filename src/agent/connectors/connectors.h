/* Every connector that this agent knows, by name. */
#ifndef EMP_AGENT_CONNECTORS_CONNECTORS_H
#define EMP_AGENT_CONNECTORS_CONNECTORS_H

#include "agent/agent.h"
#include "agent/connectors/connector.h"

enum { EMP_CONNECTORS_MAX = 16 };

/* Makes those that the options name (none named: "simulation", and "command" where it has
 * services). 0; EMP_E_INVALID: an unknown name, or what it was given is wrong; those made so far
 * stand in ret. */
int emp_connectors_make(const struct emp_connector_host *host, const struct emp_agent_options *o,
                        struct emp_connector *ret[EMP_CONNECTORS_MAX], uint32_t *ret_count,
                        struct emp_error *err);

#endif
