/*
 * export.h - entries of systemd's journal in the bytes of its export format, as they come.
 *
 *     __CURSOR=s=...;i=...                          a field of text
 *     PRIORITY=6
 *     MESSAGE\n <u64, little-endian> BYTES \n       a field of anything: its size, then it
 *     \n                                            the entry's end
 *
 * Fields that nobody asks for are passed over, whatever their size, and those that are longer
 * than there is room are cut; so memory is bounded although an entry may hold a core file.
 * Source: systemd, docs/JOURNAL_EXPORT_FORMATS.md.
 *
 * No state but the parser's; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

#define JOURNAL_MESSAGE_BYTES ((size_t)32 << 10)
#define JOURNAL_FIELD_BYTES   ((size_t)256)

enum journal_field {
    JOURNAL_CURSOR,
    JOURNAL_REALTIME, /* microseconds, Unix time */
    JOURNAL_PRIORITY,
    JOURNAL_UNIT,
    JOURNAL_IDENTIFIER,
    JOURNAL_TRANSPORT,
    JOURNAL_SHORT_FIELDS,
    JOURNAL_MESSAGE = JOURNAL_SHORT_FIELDS,
    JOURNAL_FIELDS
};

struct journal_export {
    int state;
    bool has_entry; /* the next byte begins another one */
    bool is_fresh;  /* nothing of an entry came yet */
    char name[32];
    size_t name_size;
    int field; /* where the value goes; -1: nowhere */
    uint64_t size, left;
    size_t size_bytes;
    size_t sizes[JOURNAL_FIELDS];
    bool is_cut; /* the message is */
    uint8_t values[JOURNAL_SHORT_FIELDS][JOURNAL_FIELD_BYTES];
    uint8_t message[JOURNAL_MESSAGE_BYTES];
};

void journal_export_init(struct journal_export *parser);

/* Takes bytes up to the end of an entry, or all of them; returns how many.  *ret_is_whole: an
 * entry is, until the next call. */
size_t journal_export_take(struct journal_export *parser, struct bytes data,
                           bool *ret_is_whole);

/* A field of the entry; empty where it has none. */
struct bytes journal_export_field(const struct journal_export *parser,
                                  enum journal_field field);
