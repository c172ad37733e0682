/*
 * smpp_text.h - a text as the parts of a long text message.
 *
 *     up to 70 UTF-16 units     one part, the units alone
 *     more                      05 00 03 ref total number, then up to 67 units, in each part
 *
 * No part ends within a surrogate pair.  What is no UTF-8 becomes U+FFFD; what does not fit
 * into SMPP_PARTS_MAX parts is cut.
 *
 * Source: 3GPP TS 23.040, 9.2.3.24.1 (concatenated short messages, 8-bit reference).
 * Pure; any thread.
 */
#pragma once

#include "proto/base/buf.h"

#define SMPP_PARTS_MAX    64
#define SMPP_SINGLE_UNITS ((size_t)70)
#define SMPP_PART_UNITS   ((size_t)67)

struct smpp_text {
    struct buf units;                  /* UTF-16, big-endian */
    size_t count;                      /* parts; at least 1 */
    size_t starts[SMPP_PARTS_MAX + 1]; /* in bytes; the last is the end */
};

/* ERR_NOMEM.  smpp_text_done() in any case. */
int smpp_text_split(struct bytes text, struct smpp_text *ret_text);
void smpp_text_done(struct smpp_text *text);
/* Appends part `number` (from 0) with its header, if there are several. */
void smpp_text_put_part(const struct smpp_text *text, size_t number, uint8_t reference,
                        struct buf *out);
