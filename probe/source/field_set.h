/*
 * field_set.h - series by the hash of what names them: for kernel tables of many fields.
 *
 *     field_set_begin(&fields);
 *     for each:  field = field_set_touch(&fields, field_hash(FIELD_HASH, name), &state);
 *                if (state == FIELD_NEW) field->handle = ...;    SERIES_NONE: not wanted
 *     field_set_sweep(&fields, out);                        ends what was not met
 *
 * tracked.h keeps a name and a value for each member, and is for devices.  A kernel's table of
 * statistics has hundreds of members that nobody wants (netstat 400, vmstat 180), and all that
 * must be known of one is its handle: 16 bytes here.  Two names with the same 64-bit hash would
 * be taken for one; among some thousand names that is one chance in 10^12.
 *
 * A field's address is valid until the next touch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/emitter.h"

/* Where a hash begins. */
#define FIELD_HASH UINT64_C(14695981039346656037)

enum field_state {
    FIELD_NEW,
    FIELD_KNOWN,
    FIELD_AGAIN /* already met since field_set_begin() */
};

struct field {
    uint64_t hash;
    series_handle handle; /* SERIES_NONE when new */
    uint32_t round;       /* when it was last met */
};

/* Zeroed is empty. */
struct field_set {
    struct field *fields;
    size_t count, capacity;
    size_t next; /* where the next lookup starts */
    uint32_t round;
};

#define FIELD_SET_MOST ((size_t)65536) /* members of a set; past it touch yields NULL */

/* FNV-1a of `text`, going on from `hash`.  Parts are told apart: "ab","c" is not "a","bc". */
uint64_t field_hash(uint64_t hash, struct bytes text);

void field_set_begin(struct field_set *set);

/* NULL: the limit or memory.  Kernel tables come in the same order every time, so that the one
 * after the last is tried first. */
struct field *field_set_touch(struct field_set *set, uint64_t hash,
                              enum field_state *ret_state);

/* Ends the series of what was not met since field_set_begin(), and forgets it. */
void field_set_sweep(struct field_set *set, struct emitter *out);

/* Frees; ends nothing. */
void field_set_done(struct field_set *set);
