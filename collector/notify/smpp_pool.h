/*
 * smpp_pool.h - the SMPP sessions that stay open, one a server and system_id.
 *
 * A session is bound as soon as the configuration names it, and stays so, for receipts come
 * when they come; it is made again with growing pauses when it breaks.  Messages wait in it for
 * their turn.
 *
 * Receipts: handed over as they arrive, and answered when the caller says that what they told
 * is kept; a service repeats what was not answered, so that a kill in between loses none.  One
 * that nobody knows (yet: it may come before the answer to its submit) is answered at once, and
 * remembered for a while.
 *
 * Thread: the loop's.
 */
#pragma once

#include "collector/notify/delivery.h"
#include "collector/notify/smpp.h"
#include "collector/notify/smpp_message.h"
#include "collector/notify/smpp_pdu.h"

struct smpp_pool;

int smpp_pool_open(struct delivery *delivery, delivery_receipt *on_receipt, void *context,
                   struct smpp_pool **ret_pool);
/* Unbinds all.  Messages still there are dropped without a verdict.  NULL is allowed. */
void smpp_pool_close(struct smpp_pool *pool);

/* After each reading of the configuration: begin, keep each integration's, end; sessions that
 * none wants are unbound, and what waited in them is told to try again. */
void smpp_pool_begin_keep(struct smpp_pool *pool);
int smpp_pool_keep(struct smpp_pool *pool, const struct smpp_settings *settings);
void smpp_pool_end_keep(struct smpp_pool *pool);

/* Submits `text`, going on from `progress` of an earlier try.  `settings` outlive it, the rest
 * is copied.  `done` is called exactly once, later, from the loop, unless smpp_abandon() or
 * smpp_pool_close() comes first; its verdict has the new progress.  ERR_NOMEM: never. */
int smpp_send(struct smpp_pool *pool, const struct smpp_settings *settings, struct bytes text,
              struct bytes progress, delivery_done *done, void *context,
              struct smpp_message **ret_message);
void smpp_abandon(struct smpp_message *message); /* NULL is allowed */

/* How many receipts have arrived; and: those up to the n-th are kept. */
uint64_t smpp_receipts_seen(const struct smpp_pool *pool);
void smpp_receipts_kept(struct smpp_pool *pool, uint64_t seen);
