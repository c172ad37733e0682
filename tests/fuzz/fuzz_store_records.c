/*
 * fuzz_store_records.c - records of a roll-up, on any bytes.
 *
 * What is read ascends and does not overlap; written again it is read as the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/records.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct records *a, const struct records *b)
{
    size_t bytes = a->count * sizeof(double);
    bool same = a->count == b->count && memcmp(a->lasts_ms, b->lasts_ms, bytes) == 0 &&
                memcmp(a->firsts_ms, b->firsts_ms, bytes) == 0 &&
                memcmp(a->lasts, b->lasts, bytes) == 0;
    for (size_t c = 0; c < ROLLED_COLUMNS && same; c++)
        same = memcmp(a->columns[c], b->columns[c], bytes) == 0;
    return same;
}

static void write_and_read(const struct records *records)
{
    struct buf sizes = {0};
    struct buf chunks = {0};
    struct buf entry = {0};
    struct records again;
    size_t count;
    records_init(&again);
    must(records_write(records, &sizes, &chunks, &count) == 0);
    buf_put_varint(&entry, count);
    buf_put(&entry, sizes.data, sizes.size);
    buf_put(&entry, chunks.data, chunks.size);
    must(records_read(&again, buf_bytes(&entry)) == 0);
    must(is_same(records, &again));
    records_done(&again);
    buf_done(&sizes);
    buf_done(&chunks);
    buf_done(&entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct records records;
    bool touch = false;
    records_init(&records);
    (void)records_touch((struct bytes){data, size}, 0, 1000, &touch);
    if (records_read(&records, (struct bytes){data, size}) == 0 && records.count > 0) {
        for (size_t i = 0; i < records.count; i++)
            must(records.firsts_ms[i] <= records.lasts_ms[i] &&
                 (i == 0 || records.firsts_ms[i] > records.lasts_ms[i - 1]));
        write_and_read(&records);
    }
    records_done(&records);
    return 0;
}
