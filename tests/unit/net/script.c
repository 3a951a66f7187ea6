#include "script.h"

#include "check.h"

#include <assert.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <strings.h>

/* ------------------------------------------------------------------ bytes */

static ssize_t get(struct peer *p, void *data, size_t len)
{
    return p->ssl ? SSL_read(p->ssl, data, (int)len) : recv(p->fd, data, len, 0);
}

bool peer_send(struct peer *p, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = p->ssl ? SSL_write(p->ssl, (const char *)data + at, (int)(len - at))
                           : send(p->fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

void peer_say(struct peer *p, const char *fmt, ...)
{
    char text[8192];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    peer_send(p, text, (size_t)n);
}

size_t peer_read(struct peer *p, void *data, size_t len)
{
    size_t at = p->rest_len < len ? p->rest_len : len;
    memcpy(data, p->rest, at);
    p->rest_len -= at;
    memmove(p->rest, p->rest + at, p->rest_len);
    while (at < len) {
        ssize_t n = get(p, (char *)data + at, len - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return at;
}

void peer_wait_end(struct peer *p)
{
    char dropped[4096];
    while (get(p, dropped, sizeof dropped) > 0)
        ;
}

const char *peer_header(const struct peer *p, const char *name)
{
    static _Thread_local char value[SCRIPT_HEAD_MAX];
    size_t n = strlen(name);
    for (const char *at = strstr(p->head, "\r\n"); at; at = strstr(at, "\r\n")) {
        at += 2;
        if (strncasecmp(at, name, n) != 0 || at[n] != ':')
            continue;
        at += n + 1;
        at += strspn(at, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r\n"), at);
        return value;
    }
    return NULL;
}

/* ------------------------------------------------------------------ connections */

static bool read_head(struct peer *p)
{
    size_t len = p->rest_len;
    memcpy(p->head, p->rest, len);
    for (;;) {
        p->head[len] = '\0';
        char *end = strstr(p->head, "\r\n\r\n");
        if (end) {
            p->rest_len = len - (size_t)(end + 4 - p->head);
            memcpy(p->rest, end + 4, p->rest_len);
            end[2] = '\0';
            return true;
        }
        ssize_t n = len + 1 < SCRIPT_HEAD_MAX ? get(p, p->head + len, SCRIPT_HEAD_MAX - 1 - len)
                                              : 0;
        if (n <= 0)
            return false;
        len += (size_t)n;
    }
}

static void *serve_peer(void *arg)
{
    struct peer *p = arg;
    struct script *s = p->script;
    int open = atomic_fetch_add(&s->open, 1) + 1;
    for (int most = atomic_load(&s->open_max);
         open > most && !atomic_compare_exchange_weak(&s->open_max, &most, open);)
        ;
    if (p->ssl == NULL || SSL_accept(p->ssl) == 1)
        while (read_head(p) && s->serve(p))
            p->turn++;
    if (p->ssl) {
        SSL_shutdown(p->ssl);
        SSL_free(p->ssl);
    }
    atomic_fetch_sub(&s->open, 1);
    close(p->fd);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct script *s = arg;
    for (int fd; (fd = accept(s->listener, NULL, NULL)) >= 0;) {
        assert(s->peer_count < SCRIPT_PEERS_MAX);
        struct peer *p = calloc(1, sizeof *p);
        p->script = s;
        p->fd = fd;
        p->number = s->peer_count;
        if (s->tls) {
            p->ssl = SSL_new(s->tls);
            SSL_set_fd(p->ssl, fd);
        }
        s->peers[s->peer_count++] = p;
        pthread_create(&p->thread, NULL, serve_peer, p);
    }
    return NULL;
}

static void start(struct script *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listener, 128), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    pthread_create(&s->thread, NULL, accept_all, s);
}

void script_start(struct script *s, bool (*serve)(struct peer *p), void *arg)
{
    *s = (struct script){.serve = serve, .arg = arg};
    start(s);
}

void script_stop(struct script *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    for (int i = 0; i < s->peer_count; i++) {
        shutdown(s->peers[i]->fd, SHUT_RD);
        pthread_join(s->peers[i]->thread, NULL);
        free(s->peers[i]);
    }
    if (s->tls) {
        SSL_CTX_free(s->tls);
        unlink(s->ca_file);
    }
}

/* ------------------------------------------------------------------ TLS */

/* A certificate of 127.0.0.1 that vouches for itself. */
static X509 *certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"emp test", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    static const struct {
        int id;
        const char *value;
    } more[] = {{NID_subject_alt_name, "IP:127.0.0.1"}, {NID_basic_constraints, "CA:TRUE"}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, more[i].id, more[i].value);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
    X509_sign(x, key, EVP_sha256());
    return x;
}

void script_start_tls(struct script *s, bool (*serve)(struct peer *p), void *arg)
{
    *s = (struct script){.serve = serve, .arg = arg, .ca_file = "/tmp/emp-test-ca-XXXXXX"};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate(key);
    s->tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(s->tls, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(s->tls, key), 1);
    FILE *f = fdopen(mkstemp(s->ca_file), "w");
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
    start(s);
}
