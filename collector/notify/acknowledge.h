/*
 * acknowledge.h - who has said of a firing alert "I have seen it, I am on it".
 *
 * An acknowledgement belongs to one firing of one alert.  While it holds, the alert alone is no
 * reason to repeat a message; news and ends are told as ever.  It goes with the end of the
 * alert, or when it is taken back; the next firing is unacknowledged again.
 *
 *     row "notify/ack/<fingerprint>"   u8 version (1) | zigzag at, starts (Unix ms)
 *                                      | sized by, comment
 *
 * Thread: changed on the notify loop under the view lock; read under that lock by any.
 */
#pragma once

#include <stdint.h>

#include "proto/base/buf.h"

#define ACKNOWLEDGE_PREFIX   "notify/ack/"
#define ACKNOWLEDGE_TEXT_MAX ((size_t)4096) /* of name and comment, bytes each */

struct acknowledgement {
    int64_t at_ms;
    int64_t starts_ms;  /* of the firing it belongs to */
    char *by, *comment; /* owned */
};

/* Copies the texts.  ERR_NOMEM. */
int acknowledgement_new(const char *by, const char *comment, int64_t at_ms, int64_t starts_ms,
                        struct acknowledgement **ret_acknowledgement);
void acknowledgement_free(struct acknowledgement *acknowledgement); /* NULL is allowed */
void acknowledgement_write(const struct acknowledgement *acknowledgement, struct buf *out);
/* ERR_CORRUPT, ERR_NOMEM. */
int acknowledgement_read(struct bytes row, struct acknowledgement **ret_acknowledgement);
