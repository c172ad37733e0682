/*
 * changes.c - see changes.h.
 */
#include "collector/store/changes.h"

#include "collector/store/parts.h"
#include "collector/store/wal.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"

#define RECORD_ARENA_BYTES ((size_t)1 << 30)

struct reading {
    struct arena arena;
    int (*each)(void *context, const struct store_change *change);
    void *context;
};

uint64_t store_last_commit(struct store *store)
{
    return writer_last_commit(store->writer);
}

static int read_record(void *context, uint64_t commit, struct bytes bytes)
{
    struct reading *reading = context;
    struct wal_record record;
    arena_reset(&reading->arena);
    int error = wal_decode_samples(bytes, &reading->arena, &record);
    if (error == ERR_MALFORMED)
        return 0; /* its seal fits, so it is a bug of another version: replay says so, too */
    if (error != 0)
        return error;
    const struct store_change change = {commit, record.ids, record.times_ms, record.values,
                                        record.sample_count};
    return reading->each(reading->context, &change);
}

int store_each_change(struct store *store, uint64_t first,
                      int (*each)(void *context, const struct store_change *change),
                      void *context)
{
    struct reading reading = {.each = each, .context = context};
    uint64_t last = 0, bad = 0;
    arena_init(&reading.arena, RECORD_ARENA_BYTES);
    int result = wal_replay(&store->live, first > 0 ? first - 1 : 0, read_record, &reading, &last,
                            &bad);
    arena_reset(&reading.arena);
    return result;
}
