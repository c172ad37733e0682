/*
 * fuzz_remote_spill.c - what remote write out keeps on disk, as any bytes: a block of a spill file,
 * a batch, a cursor.
 *
 * Properties: what is read lies in its arrays, commits ascend and their samples follow each other;
 * what was read is written as it can be read again.
 */
#include <stdlib.h>

#include "collector/remote/cursor.h"
#include "collector/remote/spill.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_batch(const struct batch *batch)
{
    struct batch again = {0};
    struct buf bytes = {0};
    uint64_t last = 0;
    size_t count = 0;
    for (size_t i = 0; i < batch->commit_count; i++) {
        const struct batch_commit *commit = &batch->commits[i];
        must(commit->commit > last && commit->first == count);
        must(batch_find(batch, commit->commit) == commit);
        last = commit->commit;
        count += commit->count;
    }
    must(count == batch->count);
    batch_encode(batch, &bytes);
    must(buf_ok(&bytes));
    must(batch_decode(buf_bytes(&bytes), &again) == 0);
    must(again.count == batch->count && again.commit_count == batch->commit_count);
    must(count == 0 || memcmp(again.ids, batch->ids, count * sizeof *again.ids) == 0);
    must(count == 0 || memcmp(again.values, batch->values, count * sizeof *again.values) == 0);
    batch_done(&again);
    buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch batch = {0};
    struct buf raw = {0}, row = {0};
    struct cursor cursor, again;
    const struct bytes bytes = {data, size};
    if (spill_block_decode(bytes, &raw, &batch) == 0)
        check_batch(&batch);
    if (batch_decode(bytes, &batch) == 0)
        check_batch(&batch);
    if (cursor_read(bytes, &cursor) == 0) {
        cursor_write(&cursor, &row);
        must(cursor_read(buf_bytes(&row), &again) == 0);
        must(!remote_place_before(again.begin, cursor.begin) &&
             !remote_place_before(cursor.begin, again.begin));
    }
    batch_done(&batch);
    buf_done(&raw);
    buf_done(&row);
    return 0;
}
