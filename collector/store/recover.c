/*
 * recover.c - rebuilding the head: checkpoint first, then the WAL behind it.
 *
 * Series are brought back as they are met, by id, from the live environment.  A sample is
 * applied unless the checkpoint entry of its series says that it holds the commit already.
 */
#include "collector/store/recover.h"

#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/series_rows.h"
#include "collector/store/wal.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

/* Memory for one record: its columns and lines. */
#define RECORD_ARENA_BYTES ((size_t)1 << 30)

/* Matchers are tried once a series, not once a sample. */
struct recalled {
    roaring_bitmap_t *asked, *covered; /* ids */
};

void recovery_init(struct recovery *recovery, struct store *store)
{
    *recovery = (struct recovery){.store = store};
    series_reader_init(&recovery->reader, &store->live);
    arena_init(&recovery->arena, RECORD_ARENA_BYTES);
}

void recovery_done(struct recovery *recovery)
{
    for (size_t i = 0; recovery->deleted != NULL && i < recovery->store->deletes.count; i++) {
        roaring_bitmap_free(recovery->deleted[i].asked);
        roaring_bitmap_free(recovery->deleted[i].covered);
    }
    free(recovery->deleted);
    free(recovery->covered);
    series_reader_done(&recovery->reader);
    arena_reset(&recovery->arena);
}

static bool covers(struct recovery *recovery, size_t i, const struct series *series)
{
    struct recalled *recalled = &recovery->deleted[i];
    struct labels_room room;
    if (roaring_bitmap_add_checked(recalled->asked, series->id) &&
        deletion_matches(recovery->store->deletes.items[i], series_labels(series, &room)))
        roaring_bitmap_add(recalled->covered, series->id);
    return roaring_bitmap_contains(recalled->covered, series->id);
}

static void recall(struct recovery *recovery)
{
    size_t count = recovery->store->deletes.count;
    recovery->deleted = calloc(count, sizeof *recovery->deleted);
    must(recovery->deleted != NULL);
    for (size_t i = 0; i < count; i++) {
        recovery->deleted[i].asked = roaring_bitmap_create();
        recovery->deleted[i].covered = roaring_bitmap_create();
        must(recovery->deleted[i].asked != NULL && recovery->deleted[i].covered != NULL);
    }
}

bool recovery_is_deleted(struct recovery *recovery, const struct series *series,
                         uint64_t commit, int64_t ts_ms)
{
    const struct deletes *deletes = &recovery->store->deletes;
    if (deletes->count > 0 && recovery->deleted == NULL)
        recall(recovery);
    for (size_t i = 0; i < deletes->count; i++) {
        const struct deletion *deletion = deletes->items[i];
        if (commit <= deletion->commit && ts_ms >= deletion->from_ms &&
            ts_ms <= deletion->until_ms && covers(recovery, i, series))
            return true;
    }
    return false;
}

/* The whole block comes along: its neighbours were made together and will be met soon, and a
 * block is unpacked once that way, in whatever order ids are met.  The idle ones are swept
 * later. */
static int intern_block(struct recovery *recovery)
{
    int error = 0;
    for (size_t i = 0; i < recovery->reader.count && error == 0; i++) {
        struct series *series;
        error = head_intern(recovery->store->head, recovery->reader.rows[i].labels,
                            recovery->reader.rows[i].id, &series);
        if (error == 0)
            head_release(series);
    }
    return error;
}

int recovery_series(struct recovery *recovery, uint64_t id, struct series **ret_series)
{
    struct head *head = recovery->store->head;
    struct series *series = head_peek_id(head, id);
    if (series == NULL) {
        const struct labels *labels;
        int error = series_reader_find(&recovery->reader, id, &labels);
        /* Its labels are lost, its number must not become another's. */
        if ((error == ERR_NOTFOUND || error == ERR_CORRUPT) && id >= head->next_id)
            head->next_id = id + 1;
        if (error == 0)
            error = intern_block(recovery);
        if (error != 0)
            return error;
        series = head_peek_id(head, id);
        if (series == NULL)
            return ERR_NOTFOUND; /* its labels bear another id too: the first holds */
    }
    *ret_series = series;
    return 0;
}

int recovery_cover(struct recovery *recovery, uint32_t id, uint64_t commit)
{
    if (id >= recovery->covered_count) {
        const uint64_t all = recovery->store->head->next_id;
        const size_t count = all > id ? (size_t)all : (size_t)id + 1;
        uint64_t *covered = realloc(recovery->covered, count * sizeof *covered);
        if (covered == NULL)
            return ERR_NOMEM;
        memset(covered + recovery->covered_count, 0,
               (count - recovery->covered_count) * sizeof *covered);
        recovery->covered = covered;
        recovery->covered_count = count;
    }
    recovery->covered[id] = commit;
    return 0;
}

static uint64_t covered_of(const struct recovery *recovery, uint32_t id)
{
    return id < recovery->covered_count ? recovery->covered[id] : 0;
}

/* Which samples of a record are to be applied, with their series: to `kept`. */
static int choose(struct recovery *recovery, uint64_t commit, const struct wal_record *record,
                  struct store_sample *kept, size_t *ret_count)
{
    const bool has_deletes = recovery->store->deletes.count > 0;
    struct series *series = NULL;
    size_t count = 0;
    for (size_t i = 0; i < record->sample_count; i++) {
        const int64_t ts_ms = record->times_ms[i];
        if (i == 0 || record->ids[i] != record->ids[i - 1]) {
            int error = recovery_series(recovery, record->ids[i], &series);
            if (error == ERR_NOTFOUND || error == ERR_CORRUPT)
                series = NULL;
            else if (error != 0)
                return error;
        }
        if (series == NULL)
            recovery->lost_samples++;
        else if (commit > covered_of(recovery, series->id) && ts_ms >= recovery->floor_ms &&
                 !(has_deletes && recovery_is_deleted(recovery, series, commit, ts_ms)))
            kept[count++] = (struct store_sample){series, ts_ms, record->values[i]};
    }
    *ret_count = count;
    return 0;
}

static int replay_samples(struct recovery *recovery, uint64_t commit,
                          const struct wal_record *record)
{
    size_t count = 0;
    uint64_t taken;
    if (record->sample_count == 0)
        return 0;
    struct store_sample *kept =
        arena_alloc(&recovery->arena, record->sample_count, sizeof *kept);
    if (kept == NULL)
        return ERR_NOMEM;
    int error = choose(recovery, commit, record, kept, &count);
    if (error != 0)
        return error;
    return head_append_all(recovery->store->head, kept, count, INT64_MIN,
                           clock_unix_ms(recovery->store->clock), &taken);
}

static int replay_record(void *context, uint64_t commit, struct bytes bytes)
{
    struct recovery *recovery = context;
    struct wal_record record;
    arena_reset(&recovery->arena);
    int error = wal_decode(bytes, &recovery->arena, &record);
    if (error == ERR_MALFORMED) {
        recovery->lost_records++;
        return 0;
    }
    if (error == 0)
        error = replay_samples(recovery, commit, &record);
    for (size_t i = 0; i < record.log_count && error == 0; i++)
        error = log_head_append(recovery->store->logs, record.logs[i].stream_id,
                                &record.logs[i].chunk, NULL);
    return error;
}

int recovery_replay(struct recovery *recovery, uint64_t after_commit, uint64_t *ret_last)
{
    struct store *store = recovery->store;
    uint64_t bad = 0;
    int64_t retention_ms = store_retention_ms(store);
    recovery->floor_ms =
        retention_ms > 0 ? clock_unix_ms(store->clock) - retention_ms : INT64_MIN;
    int error = wal_replay(&store->live, after_commit, replay_record, recovery, ret_last, &bad);
    if (error != 0)
        return error;
    bad += recovery->lost_records;
    if (bad > 0 || recovery->lost_samples > 0) {
        atomic_fetch_add_explicit(&store->quarantined, bad, memory_order_relaxed);
        log_error("store",
                  "the write-ahead log is damaged: %llu commits and %llu samples of unknown "
                  "series are lost, the rest is kept",
                  (unsigned long long)bad, (unsigned long long)recovery->lost_samples);
    }
    return 0;
}
