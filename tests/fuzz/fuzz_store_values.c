/*
 * fuzz_store_values.c - everything the store reads back from its disk, on any bytes.
 *
 * The first byte chooses the decoder; the rest is the value.  Each must end with an error or
 * with a result whose every part can be touched.
 */
#include <roaring/roaring.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "collector/store/checkpoint.h"
#include "collector/store/deletes.h"
#include "collector/store/series_rows.h"
#include "collector/store/span_index.h"
#include "collector/store/span_set.h"
#include "collector/store/wal.h"

#define ARENA_BYTES ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void touch(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        sink ^= bytes.data[i];
}

static void read_wal(struct bytes bytes)
{
    struct wal_record record;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    if (wal_decode(bytes, &arena, &record) == 0) {
        for (size_t i = 0; i < record.sample_count; i++)
            sink ^= (uint8_t)(record.ids[i] ^ (uint64_t)record.times_ms[i]);
        for (size_t i = 0; i < record.log_count; i++) {
            touch(record.logs[i].chunk.path);
            for (size_t j = 0; j < record.logs[i].chunk.count; j++)
                touch(record.logs[i].chunk.lines[j].text);
        }
    }
    arena_reset(&arena);
}

static void read_series(struct bytes bytes)
{
    struct series_row rows[SERIES_BLOCK_MAX];
    size_t count;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    if (series_block_decode(1, bytes, &arena, rows, &count) == 0)
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < rows[i].labels->count; j++)
                touch(rows[i].labels->pairs[j].value);
    arena_reset(&arena);
}

static int touch_chunk(void *context, struct bytes chunk)
{
    (void)context;
    touch(chunk);
    return 0;
}

static void read_group(struct bytes bytes)
{
    struct buf raw = {0};
    struct buf table = {0};
    struct group_view view;
    if (group_unpack(bytes, &raw, &table, &view) == 0)
        for (size_t i = 0; i < view.count; i++)
            (void)span_entry_chunks(group_entry(&view, i), touch_chunk, NULL);
    buf_done(&raw);
    buf_done(&table);
}

static void read_posting(struct bytes bytes)
{
    roaring_bitmap_t *ids = roaring_bitmap_create();
    (void)posting_decode(bytes, 1000, ids);
    roaring_bitmap_free(ids);
}

static int touch_entry(void *context, const struct checkpoint_entry *entry)
{
    (void)context;
    touch(entry->chunk);
    return 0;
}

static int touch_tails(void *context, const struct tails_entry *entry)
{
    (void)context;
    touch(entry->tail);
    touch(entry->late);
    return 0;
}

static void read_delete(struct bytes bytes)
{
    struct deletion *deletion = NULL;
    if (delete_row_read(bytes, &deletion) == 0)
        for (size_t i = 0; i < deletion->count; i++)
            (void)matcher_matches(deletion->matchers[i], bytes, NULL);
    deletion_release(deletion);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span_manifest manifest;
    if (size == 0)
        return 0;
    struct bytes bytes = {data + 1, size - 1};
    switch (data[0] % 8) {
    case 0:
        read_wal(bytes);
        break;
    case 1:
        read_series(bytes);
        break;
    case 2:
        read_group(bytes);
        break;
    case 3:
        read_posting(bytes);
        break;
    case 4:
        (void)checkpoint_row_decode(bytes, touch_entry, NULL);
        break;
    case 5:
        (void)tails_row_decode(bytes, touch_tails, NULL);
        break;
    case 6:
        read_delete(bytes);
        break;
    default:
        (void)span_manifest_read(bytes, &manifest);
        break;
    }
    return 0;
}
