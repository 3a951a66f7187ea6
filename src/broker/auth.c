#include "broker/auth.h"

#include "broker/broker.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

/* Looks at every byte of `given` whatever it meets. */
static bool emp_auth_same(struct emp_str key, struct emp_str given)
{
    volatile unsigned difference = key.len ^ given.len;

    for (uint32_t i = 0; i < given.len; i++) {
        unsigned char k = key.len ? (unsigned char)key.ptr[i % key.len] : 0;
        difference |= (unsigned)(k ^ (unsigned char)given.ptr[i]);
    }
    return difference == 0;
}

static bool emp_auth_any(const struct emp_str *keys, uint32_t count, struct emp_str given)
{
    bool found = false;

    for (uint32_t i = 0; i < count; i++)
        found |= emp_auth_same(keys[i], given);
    return found && given.len > 0;
}

int emp_auth_check(const struct emp_auth *a, enum emp_auth_role role, const char *authorization,
                   struct emp_error *err)
{
    bool agent = role == EMP_AUTH_AGENT;
    const struct emp_str *keys = agent ? a->agent_tokens : a->api_keys;
    uint32_t count = agent ? a->agent_token_count : a->api_key_count;

    if (role == EMP_AUTH_OPEN || count == 0)
        return 0;
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return emp_fail(err, EMP_E_UNAUTHORIZED, "authorization",
                        "send the %s as \"Authorization: Bearer …\"",
                        agent ? "agent token" : "API key");

    const char *given = authorization + 7;
    while (*given == ' ')
        given++;
    if (!emp_auth_any(keys, count, emp_str_z(given)))
        return emp_fail(err, EMP_E_UNAUTHORIZED, "authorization", "this is not %s of this broker",
                        agent ? "an agent token" : "an API key");
    return 0;
}

static bool emp_auth_is_loopback(const char *host, bool *ret_valid)
{
    struct in_addr v4;
    struct in6_addr v6;

    *ret_valid = true;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    *ret_valid = false;
    return false;
}

int emp_broker_split_listen(struct emp_str listen, char host[64], uint16_t *ret_port,
                            struct emp_error *err)
{
    const char *colon = listen.len ? memrchr(listen.ptr, ':', listen.len) : NULL;
    size_t host_len = colon ? (size_t)(colon - listen.ptr) : 0;
    char port[8] = "";
    size_t port_len = colon ? listen.len - host_len - 1 : 0;

    if (!colon || host_len == 0 || host_len >= 64 || port_len == 0 || port_len >= sizeof port)
        return emp_fail(err, EMP_E_INVALID, "listen", "\"%.*s\" is not HOST:PORT",
                        EMP_STR_FMT(listen));
    memcpy(port, colon + 1, port_len);
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    if (*end != '\0' || port[0] < '0' || port[0] > '9' || number > 65535)
        return emp_fail(err, EMP_E_INVALID, "listen", "\"%s\" is not a port: 0 … 65535", port);

    const char *start = listen.ptr;
    if (host_len > 2 && start[0] == '[' && start[host_len - 1] == ']') {
        start++;
        host_len -= 2;
    }
    memcpy(host, start, host_len);
    host[host_len] = '\0';
    *ret_port = (uint16_t)number;
    return 0;
}

int emp_broker_may_listen(struct emp_str listen, uint32_t api_keys, uint32_t agent_tokens,
                          struct emp_error *err)
{
    char host[64];
    uint16_t port;
    bool valid;

    int r = emp_broker_split_listen(listen, host, &port, err);
    if (r < 0)
        return r;
    bool loopback = emp_auth_is_loopback(host, &valid);
    if (!valid)
        return emp_fail(err, EMP_E_INVALID, "listen",
                        "\"%s\" is neither an IP address nor localhost", host);
    if (loopback || (api_keys > 0 && agent_tokens > 0))
        return 0;
    return emp_fail(
        err, EMP_E_FORBIDDEN, "listen",
        "%s is reachable from other machines, so clients%s must be told apart from strangers: set "
        "EMP_API_KEYS=… (auth.api_keys) and EMP_AGENT_TOKENS=… (auth.agent_tokens), or listen on "
        "127.0.0.1",
        host, agent_tokens ? "" : " and agents");
}
