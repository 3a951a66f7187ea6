/* A server that says exactly what a test wants, over plain TCP or TLS: a thread per connection,
 * which reads a request's head and gives it to the test's function. That may use assert(3), but not
 * cmocka's: it is not on the test's thread. */
#ifndef EMP_TEST_NET_SCRIPT_H
#define EMP_TEST_NET_SCRIPT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCRIPT_HEAD_MAX = 65536, SCRIPT_PEERS_MAX = 256 };

struct script;
struct peer {
    struct script *script;
    int fd;
    SSL *ssl;                   /* NULL: plain */
    int number;                 /* of the connection, from 0 */
    int turn;                   /* of the request on it, from 0 */
    char head[SCRIPT_HEAD_MAX]; /* of the request, NUL-terminated */
    char rest[SCRIPT_HEAD_MAX]; /* that came behind it */
    size_t rest_len;
    pthread_t thread;
};

struct script {
    int listener;
    uint16_t port;
    bool (*serve)(struct peer *p); /* one request; false: the connection is closed */
    void *arg;
    SSL_CTX *tls;
    char ca_file[32]; /* of the certificate, where TLS is spoken */
    pthread_t thread;
    struct peer *peers[SCRIPT_PEERS_MAX];
    atomic_int peer_count;
    atomic_int open, open_max; /* connections that are being served, and their most */
};

void script_start(struct script *s, bool (*serve)(struct peer *p), void *arg);
void script_start_tls(struct script *s, bool (*serve)(struct peer *p), void *arg);
void script_stop(struct script *s); /* after its clients have gone */

void peer_say(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool peer_send(struct peer *p, const void *data, size_t len); /* false: the client is gone */
/* `len` bytes behind the head; fewer when the client ends earlier. */
size_t peer_read(struct peer *p, void *data, size_t len);
void peer_wait_end(struct peer *p); /* until the client closes */
/* A header's value in p->head, or NULL; in a static buffer of the thread. */
const char *peer_header(const struct peer *p, const char *name);

#endif
