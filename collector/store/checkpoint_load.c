/*
 * checkpoint_load.c - the head as the last checkpoint left it.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/store/checkpoint.h"
#include "collector/store/codec/codec.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

/* -- rows -------------------------------------------------------------------------------- */

int checkpoint_row_decode(struct bytes payload,
                          int (*each)(void *context, const struct checkpoint_entry *entry),
                          void *context)
{
    struct reader reader = reader_of(payload);
    while (reader_left(&reader) > 0) {
        struct checkpoint_entry entry;
        entry.id = reader_varint(&reader);
        entry.late = reader_u8(&reader) != 0;
        entry.sequence = reader_varint(&reader);
        entry.chunk = reader_sized(&reader);
        if (reader.failed)
            return ERR_MALFORMED;
        int stop = each(context, &entry);
        if (stop != 0)
            return stop;
    }
    return 0;
}

int tails_row_decode(struct bytes payload,
                     int (*each)(void *context, const struct tails_entry *entry), void *context)
{
    struct reader reader = reader_of(payload);
    uint64_t commit = reader_varint(&reader);
    while (reader_left(&reader) > 0) {
        struct tails_entry entry = {.id = reader_varint(&reader), .commit = commit};
        uint8_t bits = reader_u8(&reader);
        if ((bits & 1) != 0)
            entry.tail = reader_sized(&reader);
        if ((bits & 2) != 0)
            entry.late = reader_sized(&reader);
        if (reader.failed || bits > 3)
            return ERR_MALFORMED;
        int stop = each(context, &entry);
        if (stop != 0)
            return stop;
    }
    return reader.failed ? ERR_MALFORMED : 0;
}

/* -- loading ----------------------------------------------------------------------------- */

struct loading {
    struct recovery *recovery;
    int64_t start_ms; /* of the row's span */
    uint64_t through; /* chunks of that span up to this are in history */
    uint64_t lost;
};

static bool is_damage(int error)
{
    return error == ERR_NOTFOUND || error == ERR_CORRUPT || error == ERR_MALFORMED;
}

static int load_chunk(void *context, const struct checkpoint_entry *entry)
{
    struct loading *loading = context;
    struct head *head = loading->recovery->store->head;
    struct series *series;
    if (entry->sequence > head->sequence)
        head->sequence = entry->sequence;
    if (entry->sequence <= loading->through)
        return 0;
    int error = recovery_series(loading->recovery, entry->id, &series);
    if (error == 0)
        error = head_restore_chunk(head, series, entry->sequence, entry->late, entry->chunk);
    if (is_damage(error)) {
        loading->lost++;
        error = 0;
    }
    return error;
}

static int load_tail(struct loading *loading, uint64_t commit, struct series *series,
                     struct tail *tail, struct bytes chunk)
{
    struct head *head = loading->recovery->store->head;
    int64_t times_ms[CHUNK_SAMPLES_MAX];
    double values[CHUNK_SAMPLES_MAX];
    size_t count = 0;
    int64_t first_ms;
    int64_t last_ms;
    tail_done(tail);
    if (chunk.data == NULL)
        return 0;
    if (chunk_describe(chunk, &count, &first_ms, &last_ms) != 0 || count > TAIL_SAMPLES_MAX ||
        chunk_decode(chunk, times_ms, values, &count) != 0)
        return ERR_CORRUPT;
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && times_ms[i] <= times_ms[i - 1]) ||
            times_ms[i] - times_ms[0] > (int64_t)UINT32_MAX)
            return ERR_CORRUPT;
        if (recovery_is_deleted(loading->recovery, series, commit, times_ms[i]))
            continue;
        int error = tail_append(tail, times_ms[i], values[i]);
        if (error != 0)
            return error;
    }
    if (!tail_is_empty(tail)) {
        int64_t tail_ms = tail_last_ms(tail);
        if (tail_ms > series->last_ms)
            series->last_ms = tail_ms;
        head_widen(head, tail->first_ms);
        head_widen(head, tail_ms);
    }
    return 0;
}

static int load_tails(void *context, const struct tails_entry *entry)
{
    struct loading *loading = context;
    struct series *series;
    int error = recovery_series(loading->recovery, entry->id, &series);
    if (error == 0)
        error = recovery_cover(loading->recovery, series->id, entry->commit);
    if (error == 0) {
        series->in_tail_pass = entry->tail.data != NULL || entry->late.data != NULL;
        error = load_tail(loading, entry->commit, series, &series->tail, entry->tail);
    }
    if (error == 0 && entry->late.data != NULL && series->late == NULL) {
        series->late = calloc(1, sizeof *series->late);
        error = series->late == NULL ? ERR_NOMEM : 0;
    }
    if (error == 0 && series->late != NULL)
        error = load_tail(loading, entry->commit, series, series->late, entry->late);
    if (error == 0) {
        double last;
        series->is_ended = series_last_value(series, &last) && is_stale_nan(last);
    }
    if (is_damage(error)) {
        loading->lost++;
        error = 0;
    }
    return error;
}

uint64_t checkpoint_through_of(struct bytes key, struct bytes value)
{
    struct bytes payload;
    if (sealed_open(key, value, &payload) != 0 || payload.size != sizeof(uint64_t))
        return 0;
    return key_get_u64(payload.data);
}

static void find_through(struct live *live, MDB_txn *txn, struct loading *loading)
{
    uint8_t key[9] = {'T'};
    key_put_i64(key + 1, loading->start_ms);
    MDB_val k = {sizeof key, key};
    MDB_val value;
    loading->through = 0;
    if (mdb_get(txn, live->tables[LIVE_SPANS], &k, &value) == MDB_SUCCESS)
        loading->through = checkpoint_through_of(bytes_of_val(k), bytes_of_val(value));
}

/* Seal numbers go on above what 'T' rows speak of: a chunk with a smaller number would be taken
 * for one that history has. */
static int skip_used_sequences(struct store *store)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val value;
    uint8_t start[1] = {'T'};
    MDB_val key = {sizeof start, start};
    int code = mdb_txn_begin(store->live.env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, store->live.tables[LIVE_SPANS], &cursor);
    if (code == MDB_SUCCESS) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        while (code == MDB_SUCCESS && ((const uint8_t *)key.mv_data)[0] == 'T') {
            uint64_t through = checkpoint_through_of(bytes_of_val(key), bytes_of_val(value));
            if (through > store->head->sequence)
                store->head->sequence = through;
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND ? 0 : error_from_lmdb(code);
}

static int load_row(struct loading *loading, MDB_txn *txn, enum live_table table,
                    struct bytes key, struct bytes value)
{
    struct live *live = &loading->recovery->store->live;
    struct bytes payload;
    int error = sealed_open(key, value, &payload);
    if (error == 0 && table == LIVE_CHECKPOINT && key.size == 16) {
        int64_t start_ms = key_get_i64(key.data);
        if (start_ms != loading->start_ms) {
            loading->start_ms = start_ms;
            find_through(live, txn, loading);
        }
        error = checkpoint_row_decode(payload, load_chunk, loading);
    } else if (error == 0 && table == LIVE_TAILS && key.size == 12) {
        error = tails_row_decode(payload, load_tails, loading);
    }
    if (is_damage(error)) {
        loading->lost++;
        error = 0;
    }
    return error;
}

static int load_table(struct loading *loading, enum live_table table)
{
    struct live *live = &loading->recovery->store->live;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int error = 0;
    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, live->tables[table], &cursor);
    if (code == MDB_SUCCESS) {
        while (error == 0 &&
               (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS)
            error = load_row(loading, txn, table, bytes_of_val(key), bytes_of_val(value));
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (error == 0 && code != MDB_NOTFOUND && code != MDB_SUCCESS)
        error = error_from_lmdb(code);
    return error;
}

int checkpoint_load(struct recovery *recovery, uint64_t *ret_through)
{
    struct store *store = recovery->store;
    struct loading loading = {.recovery = recovery, .start_ms = INT64_MIN};
    int error = live_meta_get(&store->live, "wal_through", ret_through);
    if (error == 0)
        error = skip_used_sequences(store);
    if (error == 0)
        error = load_table(&loading, LIVE_CHECKPOINT);
    if (error == 0) /* ascending passes: what was begun later overrides */
        error = load_table(&loading, LIVE_TAILS);
    if (loading.lost > 0) {
        atomic_fetch_add_explicit(&store->quarantined, loading.lost, memory_order_relaxed);
        log_error("store", "the checkpoint is damaged: %llu entries are lost, the rest is kept",
                  (unsigned long long)loading.lost);
    }
    return error;
}
