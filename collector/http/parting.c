/*
 * parting.c - who is refused in the middle of what they send hears why.
 *
 * A socket that is closed while something unread waits in it, or still comes, is reset, and a reset
 * takes with it what the client had not read yet: of a URL that is too long the answer that says so.  So
 * our own closing takes a moment (RFC 9112, 9.6): nothing more is sent, what comes is thrown away, until
 * the client closes, too, or has had its time.  libmicrohttpd closes its descriptor at once; ours is a
 * second one of the same socket.
 *
 * And libmicrohttpd writes the head of an answer into the memory that the request's has left, and where
 * that is too little it closes without a word, as it does when a body is not read to its end.  The few
 * words of a refusal go to the socket by themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/http/exchange.h"
#include "proto/base/must.h"

#define PARTING_TURN_MS   50
#define PARTING_NS        ((mono_ns)2000 * NS_PER_MS)
#define PARTING_BYTES_MAX ((size_t)8 << 20) /* that a client may still send and be heard out */
/* What the head of an answer may take, and the least that a body is read with. */
#define HEAD_BYTES ((size_t)2048)
#define ITEM_BYTES ((size_t)64) /* of libmicrohttpd, for a header or a cookie */

/* ---- closing --------------------------------------------------------------------------- */

/* Throws away what has come.  False: the client has closed, too, or was heard long enough. */
static bool hear_out(struct parting *parting)
{
    static char nowhere[64 << 10]; /* the loop's */
    for (;;) {
        ssize_t n = recv(parting->fd, nowhere, sizeof nowhere, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0 || (size_t)n > parting->left_bytes)
            return false;
        parting->left_bytes -= (size_t)n;
    }
}

static void on_turn(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    mono_ns now = clock_mono(&clock_system);
    size_t kept = 0;
    for (size_t i = 0; i < server->parting_count; i++) {
        struct parting *parting = &server->partings[i];
        if (hear_out(parting) && now < parting->until)
            server->partings[kept++] = *parting;
        else
            close(parting->fd);
    }
    server->parting_count = kept;
    if (kept == 0)
        must(uv_timer_stop(timer) == 0);
}

void parting_begin(struct http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    if (info == NULL || server->closing || server->parting_count == PARTINGS_MAX)
        return;
    ssize_t n = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return; /* the client has gone first */
    int fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)shutdown(fd, SHUT_WR); /* with TLS nobody else does */
    server->partings[server->parting_count++] = (struct parting){
        .fd = fd, .left_bytes = PARTING_BYTES_MAX, .until = clock_mono(&clock_system) + PARTING_NS};
    if (!uv_is_active((uv_handle_t *)&server->parting_timer))
        must(uv_timer_start(&server->parting_timer, on_turn, PARTING_TURN_MS, PARTING_TURN_MS) ==
             0);
}

void parting_end_all(struct http_server *server)
{
    while (server->parting_count > 0)
        close(server->partings[--server->parting_count].fd);
}

/* ---- last words ------------------------------------------------------------------------ */

static enum MHD_Result add_item(void *taken, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    *(size_t *)taken += ITEM_BYTES;
    if (kind == MHD_HEADER_KIND && strcasecmp(name, MHD_HTTP_HEADER_COOKIE) == 0)
        *(size_t *)taken += strlen(value); /* a copy, to be cut up */
    return MHD_YES;
}

bool parting_has_room(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t taken = info != NULL ? info->header_size : 0;
    if (taken < CONNECTION_BYTES / 32)
        return true; /* with ITEM_BYTES for every four, "a:\r\n", it is half of all there is */
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND | MHD_COOKIE_KIND, add_item,
                              &taken);
    return taken + HEAD_BYTES <= CONNECTION_BYTES;
}

enum MHD_Result parting_refuse(struct exchange *exchange, int status, const char *text)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        exchange->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    char answer[256];
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; "
                        "charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s\n",
                        status, MHD_get_reason_phrase_for((unsigned)status), strlen(text) + 1,
                        text);
    must(size > 0 && (size_t)size < sizeof answer);
    /* Nothing else waits in the socket before a request's answer: it has room. */
    if (exchange->server->tls != NULL && info != NULL)
        (void)gnutls_record_send(info->tls_session, answer, (size_t)size);
    else
        (void)send(exchange_socket(exchange), answer, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    exchange->server->answered[status / 100]++;
    return MHD_NO;
}
