#include "collector/ingest/stream.h"

#include <endian.h>
#include <stdlib.h>

#define XXH_STATIC_LINKING_ONLY /* a state on the stack */
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define ROW_VERSION 1
/* A stream that defines a few more now and then gets so much room for them each time. */
#define GROWTH_PART 8

size_t stream_row_key(const struct stream *stream, enum stream_row row, uint64_t number,
                      uint8_t key[STREAM_KEY_BYTES])
{
    uint64_t epoch = htobe64(stream->epoch);
    size_t size = 0;
    memcpy(key, "stream/", 7);
    size += 7;
    memcpy(key + size, stream->key, CURVE_KEY_BYTES);
    size += CURVE_KEY_BYTES;
    memcpy(key + size, &epoch, sizeof epoch);
    size += sizeof epoch;
    key[size++] = (uint8_t)row;
    if (row == STREAM_NUMBERS)
        return size;
    number = htobe64(number);
    memcpy(key + size, &number, sizeof number);
    return size + sizeof number;
}

int stream_expect(struct stream *stream, uint64_t more)
{
    const uint64_t room = stream->definition_capacity - stream->definition_count;
    if (more <= room)
        return 0;
    if (more > REFS_MAX - stream->definition_count)
        return ERR_LIMIT;
    uint64_t capacity = stream->definition_count + more;
    const uint64_t least = stream->definition_capacity + stream->definition_capacity / GROWTH_PART;
    capacity = capacity < least ? least : capacity;
    struct series **grown = realloc(stream->series, capacity * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    stream->series = grown;
    stream->definition_capacity = capacity;
    return 0;
}

int stream_define(struct stream *stream, struct series *series)
{
    int error = stream_expect(stream, 1);
    if (error == 0)
        stream->series[stream->definition_count++] = series;
    return error;
}

/* -- loading -------------------------------------------------------------------------------- */

struct definition_loader {
    struct store *store;
    struct stream *stream;
    bool stop; /* a row is missing or stale: everything after it is undefined */
};

/* The next series of a row; ERR_NOTFOUND: its id is unknown.  *ret_series may be NULL. */
static int read_definition(struct definition_loader *loader, struct reader *reader, bool joint,
                           uint64_t *id, uint64_t *ret_hash, struct series **ret_series)
{
    uint64_t number = reader_varint(reader);
    *ret_series = NULL;
    *ret_hash = 0;
    if (joint && number != 0)
        number = *id += ((number - 1) >> 1) ^ (~((number - 1) & 1) + 1);
    else if (!joint && number != 0)
        *ret_hash = reader_u64(reader);
    if (reader->failed)
        return ERR_CORRUPT;
    if (number == 0)
        return 0;
    if (store_series_by_id(loader->store, number, ret_series) != 0)
        return ERR_NOTFOUND;
    uint64_t hash = store_series_hash(*ret_series);
    if (!joint && hash != *ret_hash)
        return ERR_NOTFOUND;
    *ret_hash = hash;
    return 0;
}

/* Takes back what a row has defined, from `count` on. */
static void undefine(struct definition_loader *loader, uint64_t count)
{
    struct stream *stream = loader->stream;
    while (stream->definition_count > count) {
        struct series *series = stream->series[--stream->definition_count];
        if (series != NULL)
            store_series_release(loader->store, series);
    }
    loader->stop = true;
}

static int read_definitions(struct definition_loader *loader, struct reader *reader)
{
    struct stream *stream = loader->stream;
    uint64_t before = stream->definition_count, count = reader_varint(reader), id = 0;
    bool joint = count == 0; /* a row is never empty */
    uint64_t expected = 0;
    XXH3_state_t state;

    if (joint) {
        count = reader_varint(reader);
        expected = reader_u64(reader);
    }
    (void)XXH3_64bits_reset(&state);
    if (count <= reader_left(reader)) /* a byte each at least; else the row is damaged */
        (void)stream_expect(stream, count);
    for (uint64_t i = 0; i < count; i++) {
        struct series *series;
        uint64_t hash;
        int error = read_definition(loader, reader, joint, &id, &hash, &series);
        if (error == 0)
            error = stream_define(stream, series);
        if (error != 0 && series != NULL)
            store_series_release(loader->store, series);
        if (error == ERR_NOTFOUND) {
            undefine(loader, joint ? before : stream->definition_count);
            return 0;
        }
        if (error != 0)
            return error;
        hash = htole64(hash);
        (void)XXH3_64bits_update(&state, &hash, sizeof hash);
    }
    if (joint && XXH3_64bits_digest(&state) != expected)
        undefine(loader, before);
    return 0;
}

static int load_definition_row(void *context, struct bytes key, struct bytes value)
{
    struct definition_loader *loader = context;
    struct reader reader = reader_of(value);
    uint64_t first_ref;

    if (key.size != STREAM_KEY_BYTES)
        return ERR_CORRUPT;
    memcpy(&first_ref, key.data + STREAM_KEY_BYTES - 8, 8);
    if (loader->stop || be64toh(first_ref) != loader->stream->definition_count) {
        loader->stop = true;
        return 0;
    }
    return read_definitions(loader, &reader);
}

void stream_write_definitions(const struct stream *stream, uint64_t first, struct buf *out)
{
    uint64_t before = 0;
    struct buf ids = {0};
    XXH3_state_t state;

    (void)XXH3_64bits_reset(&state);
    for (uint64_t ref = first; ref < stream->definition_count; ref++) {
        const struct series *series = stream->series[ref];
        uint64_t hash = series == NULL ? 0 : htole64(store_series_hash(series));
        (void)XXH3_64bits_update(&state, &hash, sizeof hash);
        if (series == NULL) {
            buf_put_varint(&ids, 0);
            continue;
        }
        uint64_t id = store_series_id(series), step = id - before;
        buf_put_varint(&ids, ((step << 1) ^ (uint64_t)((int64_t)step >> 63)) + 1);
        before = id;
    }
    buf_put_varint(out, 0);
    buf_put_varint(out, stream->definition_count - first);
    buf_put_u64(out, XXH3_64bits_digest(&state));
    buf_put(out, ids.data, ids.size);
    out->failed |= !buf_ok(&ids);
    buf_done(&ids);
}

static int load_numbers(struct store *store, struct stream *stream)
{
    uint8_t key[STREAM_KEY_BYTES];
    struct buf value = {0};
    size_t size = stream_row_key(stream, STREAM_NUMBERS, 0, key);
    int error = store_state_get(store, (struct bytes){key, size}, &value);
    if (error == ERR_NOTFOUND) {
        buf_done(&value);
        return 0;
    }
    if (error == 0) {
        struct reader reader = reader_of(buf_bytes(&value));
        if (reader_u8(&reader) != ROW_VERSION)
            error = ERR_CORRUPT;
        stream->last_tick_ms = reader_zigzag(&reader);
        if (error == 0 && range_set_read(&reader, &stream->stored) != 0)
            error = ERR_CORRUPT;
    }
    buf_done(&value);
    return error;
}

static int note_single_hash(void *context, struct bytes key, struct bytes value)
{
    struct stream *stream = context;
    uint64_t number;
    (void)value;
    if (key.size != STREAM_KEY_BYTES)
        return ERR_CORRUPT;
    memcpy(&number, key.data + STREAM_KEY_BYTES - 8, 8);
    stream->single_hashes = be64toh(number); /* they ascend */
    return 0;
}

static int load_single_hashes(struct store *store, struct stream *stream)
{
    uint8_t prefix[STREAM_KEY_BYTES];
    size_t size = stream_row_key(stream, STREAM_SINGLE_HASH, 0, prefix) - 8;
    return store_state_scan(store, (struct bytes){prefix, size}, note_single_hash, stream);
}

int stream_load(struct store *store, const uint8_t key[CURVE_KEY_BYTES], uint64_t epoch,
                struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return ERR_NOMEM;
    memcpy(stream->key, key, CURVE_KEY_BYTES);
    stream->epoch = epoch;
    int error = load_numbers(store, stream);
    if (error == 0)
        error = load_single_hashes(store, stream);
    if (error == 0) {
        struct definition_loader loader = {store, stream, false};
        uint8_t prefix[STREAM_KEY_BYTES];
        size_t size = stream_row_key(stream, STREAM_DEFINITIONS, 0, prefix) - 8;
        error = store_state_scan(store, (struct bytes){prefix, size}, load_definition_row,
                                 &loader);
    }
    if (error != 0) {
        stream_free(store, stream);
        return error;
    }
    stream->definitions_committed = stream->definition_count;
    *ret_stream = stream;
    return 0;
}

void stream_free(struct store *store, struct stream *stream)
{
    if (stream == NULL)
        return;
    for (uint64_t ref = 0; ref < stream->definition_count; ref++)
        if (stream->series[ref] != NULL)
            store_series_release(store, stream->series[ref]);
    bases_done(&stream->bases);
    range_set_done(&stream->stored);
    free(stream->series);
    free(stream);
}

/* -- numbers -------------------------------------------------------------------------------- */

/* Reads a row of hashes; what is damaged counts as empty. */
static void read_hashes(struct bytes row, struct stream_hashes *hashes)
{
    struct reader reader = reader_of(row);
    uint32_t present = reader_u32(&reader);

    hashes->present = 0;
    if (reader_left(&reader) != 8 * (size_t)__builtin_popcount(present))
        return;
    for (unsigned i = 0; i < STREAM_HASH_BLOCK; i++)
        hashes->hashes[i] = (present >> i & 1) != 0 ? reader_u64(&reader) : 0;
    hashes->present = present;
}

static void load_hashes(struct store *store, const struct stream *stream, uint64_t block,
                        struct stream_hashes *hashes)
{
    uint8_t key[STREAM_KEY_BYTES];
    struct buf row = {0};
    size_t size = stream_row_key(stream, STREAM_HASHES, block, key);

    *hashes = (struct stream_hashes){.block = block};
    if (store_state_get(store, (struct bytes){key, size}, &row) == 0)
        read_hashes(buf_bytes(&row), hashes);
    buf_done(&row);
}

static const struct stream_hashes *hashes_at_hand(const struct stream *stream, uint64_t block)
{
    for (size_t i = 0; i < STREAM_HASH_BLOCKS; i++)
        if (stream->hashes[i].present != 0 && stream->hashes[i].block == block)
            return &stream->hashes[i];
    return NULL;
}

size_t stream_write_hash(struct store *store, struct stream *stream, uint64_t number,
                         uint64_t content_hash, uint8_t row[STREAM_HASHES_BYTES])
{
    uint64_t block = number / STREAM_HASH_BLOCK;
    unsigned at = (unsigned)(number % STREAM_HASH_BLOCK);
    struct stream_hashes *hashes = (struct stream_hashes *)hashes_at_hand(stream, block);
    size_t size = 4;

    if (hashes == NULL) {
        hashes = &stream->hashes[stream->next_hashes];
        stream->next_hashes = (stream->next_hashes + 1) % STREAM_HASH_BLOCKS;
        load_hashes(store, stream, block, hashes);
    }
    hashes->present |= UINT32_C(1) << at;
    hashes->hashes[at] = content_hash;
    memcpy(row, &(uint32_t){htole32(hashes->present)}, 4);
    for (unsigned i = 0; i < STREAM_HASH_BLOCK; i++) {
        if ((hashes->present >> i & 1) == 0)
            continue;
        memcpy(row + size, &(uint64_t){htole64(hashes->hashes[i])}, 8);
        size += 8;
    }
    return size;
}

/* The hash of a stored number, if it is still known. */
static bool find_hash(struct store *store, const struct stream *stream, uint64_t number,
                      uint64_t *ret_hash)
{
    struct stream_hashes loaded;
    const struct stream_hashes *hashes = hashes_at_hand(stream, number / STREAM_HASH_BLOCK);
    unsigned at = (unsigned)(number % STREAM_HASH_BLOCK);

    if (hashes == NULL) {
        load_hashes(store, stream, number / STREAM_HASH_BLOCK, &loaded);
        hashes = &loaded;
    }
    if ((hashes->present >> at & 1) != 0) {
        *ret_hash = hashes->hashes[at];
        return true;
    }
    if (number > stream->single_hashes)
        return false;
    uint8_t key[STREAM_KEY_BYTES];
    struct buf value = {0};
    size_t size = stream_row_key(stream, STREAM_SINGLE_HASH, number, key);
    int error = store_state_get(store, (struct bytes){key, size}, &value);
    bool found = error == 0 && value.size == sizeof *ret_hash;
    if (found) {
        struct reader reader = reader_of(buf_bytes(&value));
        *ret_hash = reader_u64(&reader);
    }
    buf_done(&value);
    return found;
}

int stream_check_number(struct store *store, const struct stream *stream, uint64_t number,
                        uint64_t content_hash)
{
    uint64_t stored_hash;

    if (!range_set_has(&stream->stored, number))
        return 0;
    if (find_hash(store, stream, number, &stored_hash) && stored_hash != content_hash)
        return ERR_CONFLICT;
    return 1;
}

void stream_write_numbers(const struct range_set *stored, int64_t last_tick_ms, struct buf *out)
{
    buf_put_u8(out, ROW_VERSION);
    buf_put_zigzag(out, last_tick_ms);
    range_set_write(stored, out);
}

struct stream_state stream_state_of(const struct stream *stream)
{
    return (struct stream_state){
        .epoch = stream->epoch,
        .low_water = stream->stored.low_water,
        .ranges = stream->stored.ranges,
        .range_count = stream->stored.count,
        .definition_count = stream->definitions_committed,
        .renew = stream->renew,
    };
}
