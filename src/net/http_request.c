/* What a handler may ask of a request, and set in `begin`. */
#include "net/http_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum emp_http_method emp_http_method(const struct emp_http_request *req)
{
    return req->method;
}

const char *emp_http_method_name(const struct emp_http_request *req)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
    if (req->method != EMP_HTTP_OTHER)
        return names[req->method];
    return req->method_name ? req->method_name : "?";
}

const char *emp_http_origin(const struct emp_http_request *req)
{
    return req->origin;
}

const char *emp_http_header(const struct emp_http_request *req, const char *name)
{
    assert(req->inside);
    return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

struct emp_str emp_http_peer(const struct emp_http_request *req)
{
    struct emp_http_request *r =
        (struct emp_http_request *)req; // the text is made when it is asked for
    char ip[INET6_ADDRSTRLEN] = "?";
    if (r->peer_text[0] == '\0') {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&r->peer;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&r->peer;
        if (r->peer.ss_family == AF_INET6) {
            inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
            snprintf(r->peer_text, sizeof r->peer_text, "[%s]:%u", ip, ntohs(v6->sin6_port));
        } else {
            inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
            snprintf(r->peer_text, sizeof r->peer_text, "%s:%u", ip, ntohs(v4->sin_port));
        }
    }
    return emp_str_z(r->peer_text);
}

struct emp_str emp_http_body(const struct emp_http_request *req)
{
    return (struct emp_str){req->body ? req->body : "", (uint32_t)req->body_len};
}

char *emp_http_body_take(struct emp_http_request *req, size_t *ret_len)
{
    char *body = req->body;
    *ret_len = req->body_len;
    req->body = NULL;
    req->body_len = req->body_cap = 0;
    return body;
}

void *emp_http_user(const struct emp_http_request *req)
{
    return req->user;
}

void emp_http_set_user(struct emp_http_request *req, void *user)
{
    req->user = user;
}

void emp_http_set_body_max(struct emp_http_request *req, size_t bytes)
{
    assert(req->phase <= EMP_HTTP_AT_BODY);
    req->body_max = bytes < UINT32_MAX ? bytes : UINT32_MAX - 1; // struct emp_str's length
}

int64_t emp_http_content_length(const struct emp_http_request *req)
{
    return req->content_length;
}

void emp_http_set_sink(struct emp_http_request *req, const struct emp_http_sink *sink)
{
    assert(!req->has_sink);
    req->sink = *sink;
    req->has_sink = true;
}

int emp_http_sink_code(const struct emp_http_request *req)
{
    return req->sink_code;
}
