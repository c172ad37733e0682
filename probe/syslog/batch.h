/*
 * batch.h - messages of several senders, received but not handed over yet.
 *
 * A message that was received is nowhere else: it is counted and judged (account.h) at once,
 * and stays here until a tick has room for it.  Thread: the loop's.
 */
#pragma once

#include "probe/syslog/message.h"
#include "probe/syslog/senders.h"

struct syslog_batch;

int syslog_batch_new(const struct redact_key *key, struct syslog_batch **ret_batch);
void syslog_batch_free(struct syslog_batch *batch); /* NULL is allowed */

/* Is there room for one more message of any size? */
bool syslog_batch_has_room(const struct syslog_batch *batch);

/* Takes a message of the sender; there is room.  Where senders share an origin, the line begins
 * with the address.  `is_cut`: the message was longer. */
void syslog_batch_add(struct syslog_batch *batch, struct syslog_sender *sender,
                      const uint8_t address[16], const struct syslog_message *message,
                      bool is_cut, int64_t now_ms);

/* Hands over what there is, sender by sender.  ERR_AGAIN: the tick is full, the rest stays. */
int syslog_batch_hand_over(struct syslog_batch *batch, struct emitter *out);
