/*
 * delivery.h - tries under way: libcurl's multi interface on the loop, local programs, sessions.
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

struct smpp_pool;
struct smpp_receipt;

typedef void delivery_done(void *context, const struct client_verdict *verdict);
/* A receipt of a session (smpp_pdu.h).  True: what it tells will be written by a turn that has
 * not begun yet; false: nobody knows of such a message.  Must not begin a turn itself. */
typedef bool delivery_receipt(void *context, uint64_t session,
                              const struct smpp_receipt *receipt);

int delivery_open(uv_loop_t *loop, delivery_receipt *on_receipt, void *context,
                  struct delivery **ret_delivery);

/* What one try sends. */
struct delivery_order {
    const struct channel *channel;
    const void *settings;  /* outlive the try */
    const char *id;        /* these three are copied */
    struct bytes body;
    struct bytes progress; /* what earlier tries achieved; may be empty */
};

/* Starts one try.  `done` is called exactly once, later, from the loop, unless delivery_close()
 * comes first.  An error here means it will not be called. */
int delivery_start(struct delivery *delivery, const struct delivery_order *order,
                   delivery_done *done, void *context, struct diagnosis *why);

/* The sessions: which are wanted, which receipts are kept (smpp_pool.h). */
struct smpp_pool *delivery_smpp(const struct delivery *delivery);

/* Aborts everything.  Memory is freed when the loop has run the handles' close callbacks. */
void delivery_close(struct delivery *delivery);
