/*
 * batch.c - see batch.h.
 */
#include "collector/remote/batch.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

#define SAMPLE_BYTES_LEAST 10 /* id, time, value */
#define COMMIT_BYTES_LEAST 2

void batch_done(struct batch *batch)
{
    free(batch->commits);
    free(batch->ids);
    free(batch->times_ms);
    free(batch->values);
    *batch = (struct batch){0};
}

void batch_clear(struct batch *batch)
{
    batch->commit_count = 0;
    batch->count = 0;
}

static int make_room(struct batch *batch, size_t count)
{
    if (count <= batch->capacity)
        return 0;
    size_t capacity = batch->capacity == 0 ? 4096 : batch->capacity;
    while (capacity < count)
        capacity *= 2;
    uint64_t *ids = realloc(batch->ids, capacity * sizeof *ids);
    if (ids != NULL)
        batch->ids = ids;
    int64_t *times_ms = realloc(batch->times_ms, capacity * sizeof *times_ms);
    if (times_ms != NULL)
        batch->times_ms = times_ms;
    double *values = realloc(batch->values, capacity * sizeof *values);
    if (values != NULL)
        batch->values = values;
    if (ids == NULL || times_ms == NULL || values == NULL)
        return ERR_NOMEM;
    batch->capacity = capacity;
    return 0;
}

static int add_commit(struct batch *batch, uint64_t commit, size_t first, size_t count)
{
    if (batch->commit_count == batch->commit_capacity) {
        size_t capacity = batch->commit_capacity == 0 ? 64 : batch->commit_capacity * 2;
        struct batch_commit *grown = realloc(batch->commits, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        batch->commits = grown;
        batch->commit_capacity = capacity;
    }
    batch->commits[batch->commit_count++] = (struct batch_commit){commit, first, count};
    return 0;
}

int batch_add(struct batch *batch, const struct store_change *change)
{
    int error = make_room(batch, batch->count + change->count);
    if (error == 0)
        error = add_commit(batch, change->commit, batch->count, change->count);
    if (error != 0 || change->count == 0)
        return error;
    memcpy(batch->ids + batch->count, change->ids, change->count * sizeof *change->ids);
    memcpy(batch->times_ms + batch->count, change->times_ms,
           change->count * sizeof *change->times_ms);
    memcpy(batch->values + batch->count, change->values, change->count * sizeof *change->values);
    batch->count += change->count;
    return 0;
}

const struct batch_commit *batch_find(const struct batch *batch, uint64_t commit)
{
    size_t low = 0, high = batch->commit_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (batch->commits[middle].commit < commit)
            low = middle + 1;
        else
            high = middle;
    }
    return low < batch->commit_count && batch->commits[low].commit == commit
               ? &batch->commits[low]
               : NULL;
}

/* ---- bytes ------------------------------------------------------------------------------- */

static void put_values(const struct batch *batch, struct buf *out)
{
    uint8_t *to = buf_reserve(out, batch->count * sizeof(double));
    if (to == NULL)
        return;
    for (size_t i = 0; i < batch->count; i++) {
        uint64_t bits;
        memcpy(&bits, &batch->values[i], sizeof bits);
        for (size_t plane = 0; plane < sizeof bits; plane++)
            to[plane * batch->count + i] = (uint8_t)(bits >> (8 * plane));
    }
    out->size += batch->count * sizeof(double);
}

void batch_encode(const struct batch *batch, struct buf *out)
{
    uint64_t last = 0;
    buf_put_varint(out, batch->commit_count);
    for (size_t i = 0; i < batch->commit_count; i++) {
        buf_put_varint(out, batch->commits[i].commit - last);
        buf_put_varint(out, batch->commits[i].count);
        last = batch->commits[i].commit;
    }
    last = 0;
    for (size_t i = 0; i < batch->count; i++) {
        buf_put_zigzag(out, (int64_t)(batch->ids[i] - last));
        last = batch->ids[i];
    }
    last = 0;
    for (size_t i = 0; i < batch->count; i++) {
        buf_put_zigzag(out, (int64_t)((uint64_t)batch->times_ms[i] - last));
        last = (uint64_t)batch->times_ms[i];
    }
    put_values(batch, out);
}

/* The commits; *ret_count: all their samples. */
static int read_commits(struct reader *reader, struct batch *batch, size_t *ret_count)
{
    uint64_t commits = reader_varint(reader), commit = 0;
    size_t count = 0;
    if (reader->failed || commits > reader_left(reader) / COMMIT_BYTES_LEAST)
        return ERR_MALFORMED;
    for (uint64_t i = 0; i < commits; i++) {
        uint64_t step = reader_varint(reader);
        uint64_t samples = reader_varint(reader);
        if (reader->failed || step == 0 || commit + step < commit ||
            samples > reader_left(reader) / SAMPLE_BYTES_LEAST)
            return ERR_MALFORMED;
        commit += step;
        int error = add_commit(batch, commit, count, (size_t)samples);
        if (error != 0)
            return error;
        count += (size_t)samples;
        if (count > reader_left(reader) / SAMPLE_BYTES_LEAST)
            return ERR_MALFORMED;
    }
    *ret_count = count;
    return 0;
}

int batch_decode(struct bytes bytes, struct batch *batch)
{
    struct reader reader = reader_of(bytes);
    size_t count = 0;
    uint64_t last = 0;
    batch_clear(batch);
    int error = read_commits(&reader, batch, &count);
    if (error == 0)
        error = make_room(batch, count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count; i++)
        batch->ids[i] = last += (uint64_t)reader_zigzag(&reader);
    last = 0;
    for (size_t i = 0; i < count; i++)
        batch->times_ms[i] = (int64_t)(last += (uint64_t)reader_zigzag(&reader));
    struct bytes planes = reader_bytes(&reader, count * sizeof(double));
    if (reader.failed || reader_left(&reader) != 0)
        return ERR_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = 0;
        for (size_t plane = 0; plane < sizeof bits; plane++)
            bits |= (uint64_t)planes.data[plane * count + i] << (8 * plane);
        memcpy(&batch->values[i], &bits, sizeof bits);
    }
    batch->count = count;
    return 0;
}
