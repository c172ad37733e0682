/*
 * batch.c - a batch between its plain form and the one that travels.
 *
 * Everything but the samples passes through untouched: lines and records are the same C values
 * in both forms.  The content hash is taken over the plain form on either side, so it proves
 * the whole way: coding, wire, base and decoding.
 */
#include "proto/base/error.h"
#include "proto/wire/columns.h"

static int hash_of(const struct plain_batch *plain, uint64_t *ret_hash)
{
    struct buf serialized;

    buf_init(&serialized, 2 * BATCH_PLAIN_BYTES_MAX);
    int error = plain_write(plain, &serialized);
    if (error == 0)
        *ret_hash = plain_hash(buf_bytes(&serialized));
    buf_done(&serialized);
    return error;
}

static int code_late(const struct plain_batch *plain, struct arena *arena,
                     struct coded_batch *coded)
{
    struct coded_late *late = arena_alloc(arena, plain->late_count, sizeof *late);
    if (late == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < plain->late_count; i++) {
        /* Modulo 2^64, as everywhere: any two times have a difference. */
        late[i].offset_ms =
            (int64_t)((uint64_t)plain->late[i].ts_ms - (uint64_t)plain->tick_ms);
        int error = columns_encode(&plain->late[i].samples, NULL, 0, arena, &late[i].samples);
        if (error != 0)
            return error;
    }
    coded->late = late;
    coded->late_count = plain->late_count;
    return 0;
}

int batch_code(const struct plain_batch *plain, uint64_t number,
               const struct sample_columns *base, uint64_t base_number, struct arena *arena,
               struct coded_batch *ret_coded)
{
    struct coded_batch coded = {
        .number = number,
        .definition_count = plain->definition_count,
        .tick_ms = plain->tick_ms,
        .logs = plain->logs,
        .log_count = plain->log_count,
        .records = plain->records,
        .record_count = plain->record_count,
        .ended = plain->ended,
        .ended_count = plain->ended_count,
    };

    int error = hash_of(plain, &coded.content_hash);
    if (error == 0)
        error = columns_encode(&plain->samples, base, base_number, arena, &coded.samples);
    if (error == 0)
        error = code_late(plain, arena, &coded);
    if (error == 0)
        *ret_coded = coded;
    return error;
}

static int plain_late(const struct coded_batch *coded, struct arena *arena,
                      struct plain_batch *plain)
{
    struct late_samples *late = arena_alloc(arena, coded->late_count, sizeof *late);
    if (late == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < coded->late_count; i++) {
        late[i].ts_ms =
            (int64_t)((uint64_t)coded->tick_ms + (uint64_t)coded->late[i].offset_ms);
        if (coded->late[i].samples.coding != COLUMNS_PLAIN)
            return ERR_MALFORMED;
        int error = columns_decode(&coded->late[i].samples, NULL, arena, &late[i].samples);
        if (error != 0)
            return error;
    }
    plain->late = late;
    plain->late_count = coded->late_count;
    return 0;
}

int batch_plain(const struct coded_batch *coded, const struct sample_columns *base,
                struct arena *arena, struct plain_batch *ret_plain)
{
    struct plain_batch plain = {
        .tick_ms = coded->tick_ms,
        .definition_count = coded->definition_count,
        .logs = coded->logs,
        .log_count = coded->log_count,
        .records = coded->records,
        .record_count = coded->record_count,
        .ended = coded->ended,
        .ended_count = coded->ended_count,
    };
    uint64_t hash = 0;

    int error = columns_decode(&coded->samples, base, arena, &plain.samples);
    if (error == 0)
        error = plain_late(coded, arena, &plain);
    if (error == 0)
        error = hash_of(&plain, &hash);
    if (error != 0)
        return error;
    if (hash != coded->content_hash)
        return ERR_CORRUPT;
    *ret_plain = plain;
    return 0;
}
