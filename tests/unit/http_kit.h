/*
 * http_kit.h - an HTTP server on a thread of its own, so that a test can be a plain client.
 *
 * One owner, the test's thread; the loop and all handlers of the loop run on http_kit.thread.  What
 * goes wrong fails the test.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

#include "collector/http/server.h"

struct http_kit {
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    struct http_server *server;
    unsigned port;
};

/* Starts it with these options but for `listen`: a free port on loopback. */
void http_kit_start(struct http_kit *kit, struct http_options options,
                    const struct http_route *routes, size_t route_count, void *context);
void http_kit_stop(struct http_kit *kit);

/* A connection to it; to one who is narrow little waits on the way. */
int http_kit_dial(const struct http_kit *kit, bool is_narrow);
/* Sends all of it. */
void http_kit_send(int fd, const void *data, size_t size);
/* What comes until the other side closes, a NUL behind it; closes, too.  With a pause of so many
 * microseconds each time that so many bytes have come (0: none). */
struct buf http_kit_read(int fd, size_t pause_every, useconds_t pause_us);
