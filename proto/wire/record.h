/*
 * record.h - what a batch carries besides samples and lines: process tables, events, inventory.
 *
 * Encoders append to `out` and take scratch memory from `arena`; decoders put everything into
 * `arena` and accept bytes from anybody.  The same limits in both directions: ERR_LIMIT for too
 * much, ERR_MALFORMED for text that is no UTF-8 or labels out of order, ERR_NOMEM.  What comes
 * from processes (user, name, command line, group) is bytes, not text: the kernel promises no
 * encoding, so whoever shows it must be careful.
 */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/wire/envelope.h"

#define PROCESS_ROWS_MAX    ((size_t)1024)
#define INVENTORY_FACTS_MAX ((size_t)256)

struct process_row {
    uint32_t pid;
    struct bytes user, name, group; /* at most NAME_BYTES_MAX each */
    struct bytes command_line;      /* at most HELP_BYTES_MAX */
    double cpu_seconds_per_second;
    uint64_t resident_bytes;
    double read_bytes_per_second, write_bytes_per_second;
    int64_t start_ms;   /* not negative */
    struct bytes ports; /* on which it listens: "80 443"; at most NAME_BYTES_MAX */
};

struct process_table {
    const struct process_row *rows; /* largest CPU first */
    size_t count;
    uint32_t process_count;
};

struct wire_event {
    struct bytes kind;          /* not empty */
    struct bytes text;          /* at most HELP_BYTES_MAX */
    const struct label *labels; /* ascending by name, unique */
    size_t label_count;
};

int record_encode_processes(const struct process_table *table, struct arena *arena,
                            struct buf *out);
int record_decode_processes(struct bytes data, struct arena *arena,
                            struct process_table *ret_table);
int record_encode_event(const struct wire_event *event, struct arena *arena, struct buf *out);
int record_decode_event(struct bytes data, struct arena *arena, struct wire_event *ret_event);
/* Facts are labels: ascending by name, unique, at most INVENTORY_FACTS_MAX. */
int record_encode_inventory(const struct label *facts, size_t count, struct arena *arena,
                            struct buf *out);
int record_decode_inventory(struct bytes data, struct arena *arena,
                            const struct label **ret_facts, size_t *ret_count);
