/*
 * notes.h - a small map of what sources remember across restarts (emitter.h tells why).
 *
 * One run of bytes, key and value by turns, each with its varint length:
 *
 *     | key size | key | value size | value | key size | ...
 *
 * It is the form in memory and in the spool alike.  Looking up and replacing walk the run: a
 * host has some dozens of notes, not thousands.  In a run of changes an empty value means
 * "forget".
 *
 * Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define NOTES_BYTES_MAX ((size_t)1 << 20)

struct notes {
    struct buf run;
};

void notes_init(struct notes *notes);
void notes_done(struct notes *notes);
void notes_clear(struct notes *notes);

/* Sets, or replaces, one note.  `keep_empty` keeps an empty value as a change to be told;
 * otherwise an empty value removes the key.  ERR_NOMEM, ERR_LIMIT; the map is then as before.
 */
int notes_set(struct notes *notes, struct bytes key, struct bytes value, bool keep_empty);

/* Applies a run of changes.  ERR_MALFORMED for bytes that are no run. */
int notes_apply(struct notes *notes, struct bytes changes);

/* The note at `index`; false past the last.  Valid until the map changes. */
bool notes_at(const struct notes *notes, size_t index, struct bytes *ret_key,
              struct bytes *ret_value);

static inline struct bytes notes_bytes(const struct notes *notes)
{
    return buf_bytes(&notes->run);
}
