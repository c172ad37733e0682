/*
 * stream.h - a connection that stays: bytes to and from a server, over TCP or TLS.
 *
 * libcurl resolves, connects and, where it is asked to, makes the TLS handshake and checks the
 * certificate (CURLOPT_CONNECT_ONLY); from there on the bytes are the caller's.
 *
 *     stream_open() --> opened() --> arrived() ... --> lost()
 *                  \________________________________/
 *
 * After lost() the stream is gone, as it is after stream_close(), which may be called from
 * within any event and after which there are no more.
 *
 * Thread: the loop's.
 */
#pragma once

#include "collector/notify/channel.h"
#include "collector/notify/delivery.h"

#define STREAM_SEND_MAX ((size_t)4 << 20) /* unsent bytes; a peer that reads none is lost */

struct stream;

struct stream_events {
    void (*opened)(void *context);
    void (*arrived)(void *context, struct bytes bytes);
    void (*lost)(void *context, const char *why);
};

/* `server` is host:port; `tls` NULL: plain TCP.  All but `events` and `context` is copied.
 * ERR_NOMEM: there will be no event. */
int stream_open(struct delivery *delivery, const char *server, const struct tls_settings *tls,
                const struct stream_events *events, void *context, struct stream **ret_stream);
/* Sends, in order, as fast as the other side takes it; after opened() only.  What fails is told
 * by lost(), later. */
void stream_send(struct stream *stream, struct bytes bytes);
/* What is not sent by now is dropped.  NULL is allowed. */
void stream_close(struct stream *stream);
