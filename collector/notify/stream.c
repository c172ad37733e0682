/*
 * stream.c - see stream.h.
 *
 * The one surprise: bytes may wait inside of TLS while the socket has none, so reading goes on
 * until libcurl says that there are no more; where that takes too long, the socket is watched
 * for being writable, which it is at once, to come back here after others had their turn.
 */
#include "collector/notify/stream.h"

#include <stdlib.h>
#include <string.h>

#include "collector/notify/delivery_parts.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define CHUNK_BYTES 4096
#define CHUNKS_MAX  64 /* read in one go */

struct stream {
    struct delivery_job job; /* first: delivery_parts.h */
    struct delivery *delivery;
    CURL *easy;
    uv_poll_t poll;
    bool is_watched; /* the poll handle is initialised */
    bool is_closed;
    bool has_failed; /* a send has; told by the next turn of the loop */
    bool has_more;   /* of what arrived, unread */
    struct buf out;
    const struct stream_events *events;
    void *context;
};

static void free_stream(struct stream *stream)
{
    buf_done(&stream->out);
    free(stream);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free_stream(handle->data);
}

void stream_close(struct stream *stream)
{
    if (stream == NULL || stream->is_closed)
        return;
    stream->is_closed = true;
    if (stream->is_watched)
        (void)uv_poll_stop(&stream->poll);
    delivery_drop_easy(stream->delivery, stream->easy);
    if (stream->is_watched)
        uv_close((uv_handle_t *)&stream->poll, on_poll_closed);
    else
        free_stream(stream);
}

static void lose(struct stream *stream, const char *why)
{
    const struct stream_events *events = stream->events;
    void *context = stream->context;
    stream_close(stream);
    events->lost(context, why);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct stream *stream)
{
    bool wants_out = stream->out.size > 0 || stream->has_failed || stream->has_more;
    (void)uv_poll_start(&stream->poll, UV_READABLE | (wants_out ? UV_WRITABLE : 0), on_ready);
}

static void send_some(struct stream *stream)
{
    size_t done = 0;
    while (done < stream->out.size && !stream->has_failed) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(stream->easy, stream->out.data + done,
                                       stream->out.size - done, &sent);
        if (code == CURLE_AGAIN)
            break;
        stream->has_failed = code != CURLE_OK;
        done += sent;
    }
    if (done > 0) {
        memmove(stream->out.data, stream->out.data + done, stream->out.size - done);
        stream->out.size -= done;
    }
    stream->has_failed =
        stream->has_failed || !buf_ok(&stream->out) || stream->out.size > STREAM_SEND_MAX;
}

/* NULL: there may be more later. */
static const char *read_some(struct stream *stream)
{
    char chunk[CHUNK_BYTES];
    stream->has_more = false;
    for (int i = 0; i < CHUNKS_MAX; i++) {
        size_t size = 0;
        CURLcode code = curl_easy_recv(stream->easy, chunk, sizeof chunk, &size);
        if (code == CURLE_AGAIN)
            return NULL;
        if (code != CURLE_OK)
            return curl_easy_strerror(code);
        if (size == 0)
            return "the server closed the connection";
        stream->events->arrived(stream->context, (struct bytes){(uint8_t *)chunk, size});
        if (stream->is_closed)
            return NULL;
    }
    stream->has_more = true;
    return NULL;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct stream *stream = poll->data; /* freed later than here, by its close callback */
    const char *why = status < 0 ? uv_strerror(status) : NULL;
    (void)events;

    if (why == NULL)
        why = read_some(stream);
    if (stream->is_closed)
        return;
    if (why == NULL)
        send_some(stream);
    if (why == NULL && stream->has_failed)
        why = "sending failed";
    if (why != NULL)
        lose(stream, why);
    else
        watch(stream);
}

static void on_connected(struct delivery_job *job, CURLcode result)
{
    struct stream *stream = (struct stream *)job;
    curl_socket_t socket = CURL_SOCKET_BAD;

    if (result == CURLE_OK)
        (void)curl_easy_getinfo(stream->easy, CURLINFO_ACTIVESOCKET, &socket);
    if (result == CURLE_OK &&
        (socket == CURL_SOCKET_BAD ||
         uv_poll_init_socket(delivery_loop(stream->delivery), &stream->poll, socket) != 0))
        result = CURLE_COULDNT_CONNECT;
    if (result != CURLE_OK) {
        lose(stream, curl_easy_strerror(result));
        return;
    }
    stream->poll.data = stream;
    stream->is_watched = true;
    watch(stream);
    stream->events->opened(stream->context);
}

static int set_options(struct stream *stream, const char *server,
                       const struct tls_settings *tls)
{
    struct buf url = {0};
    CURL *easy = stream->easy;
    int error;

    buf_printf(&url, "%s://%s/", tls != NULL ? "https" : "http", server);
    (void)curl_easy_setopt(easy, CURLOPT_URL, buf_text(&url));
    error = buf_ok(&url) ? 0 : ERR_NOMEM;
    buf_done(&url);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L); /* it is no HTTP */
    if (tls != NULL && tls->ca_file != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file);
    if (tls != NULL && tls->insecure_skip_verify) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return error;
}

int stream_open(struct delivery *delivery, const char *server, const struct tls_settings *tls,
                const struct stream_events *events, void *context, struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof *stream);
    int error;

    if (stream == NULL)
        return ERR_NOMEM;
    stream->job.done = on_connected;
    stream->delivery = delivery;
    stream->events = events;
    stream->context = context;
    stream->easy = delivery_new_easy(&stream->job);
    error = stream->easy == NULL ? ERR_NOMEM : set_options(stream, server, tls);
    if (error == 0)
        error = delivery_add_easy(delivery, stream->easy);
    if (error != 0) {
        stream_close(stream);
        return error;
    }
    *ret_stream = stream;
    return 0;
}

void stream_send(struct stream *stream, struct bytes bytes)
{
    must(stream->is_watched);
    if (stream->is_closed)
        return;
    buf_put(&stream->out, bytes.data, bytes.size);
    send_some(stream);
    watch(stream);
}
