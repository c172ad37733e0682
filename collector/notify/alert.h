/*
 * alert.h - a struct alert (notify.h) as bytes and as a copy of one's own.
 *
 *     row   u8 version (1) | u8 flags (bit 0 firing, 1 external, 2 end is a timeout, 3
 * `updated` is there) | zigzag starts, ends | u64 bits of value | labels | annotations
 *           (labels_write) | sized generator URL | [zigzag updated]
 *
 * Any thread.
 */
#pragma once

#include "collector/notify/notify.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

void alert_write(const struct alert *alert, struct buf *out);

/* Everything the alert points to lies in the arena.  ERR_CORRUPT, ERR_NOMEM. */
int alert_read(struct bytes row, struct arena *arena, struct alert *ret_alert);

/* A malloc'd copy that owns all it points to. */
int alert_copy(const struct alert *alert, struct alert **ret_copy);
/* NULL is allowed. */
void alert_free(struct alert *alert);
