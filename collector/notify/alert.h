/*
 * alert.h - a struct alert (notify.h) as bytes and as a copy of one's own.
 *
 *     row   u8 version (1) | u8 flags (bit 0 firing, 1 external, 2 end is a timeout, 3
 * `updated` is there, 4 and 5 the note) | zigzag starts, ends | u64 bits of value | labels | annotations
 *           (labels_write) | sized generator URL | [zigzag updated]
 *
 * Any thread.
 */
#pragma once

#include "collector/notify/notify.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

/* The annotation in which rules say what there is to say of an alert: "数据中断：11-28 23:12:01
 * 起没有数据，不等于恢复". */
#define ALERT_NOTE_ANNOTATION "fengsui_note"
#define ALERT_NOTE_BYTES      160
const char *alert_note_text(enum alert_note note, int64_t stale_since_ms,
                            char text[ALERT_NOTE_BYTES]);

void alert_write(const struct alert *alert, struct buf *out);

/* Everything the alert points to lies in the arena.  ERR_CORRUPT, ERR_NOMEM. */
int alert_read(struct bytes row, struct arena *arena, struct alert *ret_alert);

/* A malloc'd copy that owns all it points to. */
int alert_copy(const struct alert *alert, struct alert **ret_copy);
/* NULL is allowed. */
void alert_free(struct alert *alert);
