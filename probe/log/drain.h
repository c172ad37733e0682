/*
 * drain.h - from a tail to the tick: read, cut, decode, judge, hand over.
 *
 * The buffers are shared by all files, so that memory does not grow with their number:
 *
 *     file --64 KiB--> raw --cutter--> events, text up to 128 KiB
 *          --log_account_take()--> what may leave, masked --> emitter_log()
 *
 * What the tick has no room for stays in the file: the position moves only past what was handed
 * over, and counters count a line when it leaves, so nothing is counted twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/emitter.h"
#include "probe/log/account.h"
#include "probe/log/tail.h"

/* A multi-line event is complete when nothing followed it for this long. */
#define LOG_EVENT_IDLE_MS 3000
/* Read from one file in one turn, so that a busy one does not starve the others. */
#define LOG_TURN_BYTES ((size_t)1 << 20)

struct drain;

/* `key` is copied. */
int drain_new(const struct redact_key *key, struct drain **ret_drain);
void drain_free(struct drain *drain); /* NULL is allowed */

/* Hands over what the tail has.  `is_last`: an unterminated line at the end is a line.
 * *ret_is_empty: the end of the file was reached.  ERR_AGAIN: the tick is full; ERR_IO. */
int drain_tail(struct drain *drain, struct tail *tail, struct log_account *account,
               bool is_last, int64_t now_ms, struct emitter *out, bool *ret_is_empty);
