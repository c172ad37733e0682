/*
 * record.h - what a batch carries besides samples and lines: process tables, events, inventory.
 */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/wire/envelope.h"

#define PROCESS_ROWS_MAX ((size_t)1024)

struct process_row {
    uint32_t pid;
    struct bytes user, name, command_line, group;
    double cpu_seconds_per_second;
    uint64_t resident_bytes;
    double read_bytes_per_second, write_bytes_per_second;
    int64_t start_ms;
};

struct process_table {
    const struct process_row *rows; /* largest CPU first */
    size_t count;
    uint32_t process_count;
};

struct wire_event {
    struct bytes kind, text;
    const struct label *labels;
    size_t label_count;
};

int record_encode_processes(const struct process_table *table, struct arena *arena,
                            struct buf *out);
int record_decode_processes(struct bytes data, struct arena *arena,
                            struct process_table *ret_table);
int record_encode_event(const struct wire_event *event, struct arena *arena, struct buf *out);
int record_decode_event(struct bytes data, struct arena *arena, struct wire_event *ret_event);
int record_encode_inventory(const struct label *facts, size_t count, struct arena *arena,
                            struct buf *out);
int record_decode_inventory(struct bytes data, struct arena *arena,
                            const struct label **ret_facts, size_t *ret_count);
