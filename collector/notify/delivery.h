/*
 * delivery.h - transfers under way: libcurl's multi interface on the loop, and local programs.
 *
 *     libcurl says which descriptors to watch and when to call it; uv_poll and a uv_timer obey.
 *
 * No thread of its own and no limit of its own: the caller bounds how many run at once.
 * Thread: the loop's.
 */
#pragma once

#include <uv.h>

#include "collector/notify/channel.h"
#include "proto/base/bytes.h"

struct delivery;

typedef void delivery_done(void *context, const struct channel_verdict *verdict);

int delivery_open(uv_loop_t *loop, struct delivery **ret_delivery);

/* Starts one transfer.  `body` and `id` are copied.  `done` is called exactly once, later, from
 * the loop, unless delivery_close() comes first.  An error here means it will not be called. */
int delivery_start(struct delivery *delivery, const struct channel *channel,
                   const void *settings, const char *id, struct bytes body, delivery_done *done,
                   void *context, struct diagnosis *why);

/* Aborts everything.  Memory is freed when the loop has run the handles' close callbacks. */
void delivery_close(struct delivery *delivery);
