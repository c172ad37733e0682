/*
 * span_write.c - writing a history file.
 *
 * Memory is bounded by committing every TXN_BYTES: nothing is synced until the end, because an
 * unfinished file is thrown away anyway.  The postings are gathered in memory on the way (an
 * in-memory index as the head's, by ordinals) and written at the end.
 */
#include "collector/store/span_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "collector/store/codec/codec.h"
#include "collector/store/postings.h"
#include "collector/store/span_index.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define TXN_BYTES         ((size_t)2 << 20)
#define WRITE_OUT_BYTES   ((off_t)1 << 20)
#define WRITE_OUT_REST_NS ((mono_ns)20 * NS_PER_MS)

/* Entries on their way into one group or block. */
struct gathering {
    char table_letter;
    enum span_table table;
    struct buf sizes, entries;
    size_t count;
    uint32_t first;
};

struct span_writer {
    char path[4096], final_path[4096];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi tables[SPAN_TABLES];
    size_t txn_bytes;
    struct span_manifest manifest;
    struct postings *postings;
    struct buf stream; /* not yet a whole piece */
    uint32_t next_piece;
    struct gathering chunks, blocks;
    struct buf packed, entry, chunk_sizes, chunk_bytes;
    int code; /* the first LMDB failure; then nothing is written any more */
};

void span_file_name(enum span_kind kind, int64_t start_ms, int64_t end_ms, uint64_t generation,
                    char name[SPAN_NAME_BYTES])
{
    size_t row = 0;
    while (span_kind_rows[row].kind != kind)
        must(++row < SPAN_KINDS);
    (void)snprintf(name, SPAN_NAME_BYTES, "%" PRId64 "-%" PRId64 ".%" PRIu64 ".%s.mdb",
                   start_ms, end_ms, generation, span_kind_rows[row].name);
}

/* -- transactions ------------------------------------------------------------------------ */

static int begin(struct span_writer *writer, bool create)
{
    int code = mdb_txn_begin(writer->env, NULL, 0, &writer->txn);
    for (size_t i = 0; create && i < SPAN_TABLES && code == MDB_SUCCESS; i++)
        code = mdb_dbi_open(writer->txn, span_table_names[i], MDB_CREATE, &writer->tables[i]);
    writer->txn_bytes = 0;
    return code;
}

static int end(struct span_writer *writer)
{
    MDB_txn *txn = writer->txn;
    writer->txn = NULL; /* commit frees it, even when it fails */
    return txn == NULL ? MDB_SUCCESS : mdb_txn_commit(txn);
}

static int put(struct span_writer *writer, enum span_table table, struct bytes key,
               struct bytes value)
{
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    if (writer->code == MDB_SUCCESS)
        writer->code = mdb_put(writer->txn, writer->tables[table], &k, &v, MDB_APPEND);
    return writer->code;
}

static int put_sealed(struct span_writer *writer, enum span_table table, struct bytes key,
                      struct bytes payload)
{
    if (writer->code == MDB_SUCCESS)
        writer->code = sealed_put(writer->txn, writer->tables[table], key, payload, MDB_APPEND);
    writer->txn_bytes += payload.size;
    if (writer->code == MDB_SUCCESS && writer->txn_bytes >= TXN_BYTES) {
        writer->code = end(writer);
        if (writer->code == MDB_SUCCESS)
            writer->code = begin(writer, false);
    }
    return writer->code;
}

/* -- the stream -------------------------------------------------------------------------- */

static void put_piece(struct span_writer *writer, size_t size)
{
    uint8_t key[4];
    key_put_u32(key, writer->next_piece++);
    (void)put_sealed(writer, SPAN_STREAM, (struct bytes){key, sizeof key},
                     (struct bytes){writer->stream.data, size});
    memmove(writer->stream.data, writer->stream.data + size, writer->stream.size - size);
    writer->stream.size -= size;
}

static struct extent stream_add(struct span_writer *writer, char letter, struct bytes key,
                                struct bytes data)
{
    struct extent extent = {writer->manifest.stream_bytes, (uint32_t)data.size,
                            extent_seal(letter, key, data)};
    buf_put(&writer->stream, data.data, data.size);
    writer->manifest.stream_bytes += data.size;
    while (buf_ok(&writer->stream) && writer->stream.size >= STREAM_PIECE_BYTES)
        put_piece(writer, STREAM_PIECE_BYTES);
    return extent;
}

static int close_gathering(struct span_writer *writer, struct gathering *gathering)
{
    uint8_t key[4];
    uint8_t value[EXTENT_BYTES];
    if (gathering->count == 0)
        return 0;
    key_put_u32(key, gathering->first);
    buf_clear(&writer->packed);
    enum group_of of = gathering->table == SPAN_CHUNKS ? GROUP_OF_CHUNKS : GROUP_OF_LABELS;
    int error = group_pack(of, &gathering->sizes, gathering->count, &gathering->entries,
                           &writer->packed);
    if (error != 0)
        return error;
    struct extent extent =
        stream_add(writer, gathering->table_letter, (struct bytes){key, sizeof key},
                   buf_bytes(&writer->packed));
    extent_put(value, &extent);
    (void)put(writer, gathering->table, (struct bytes){key, sizeof key},
              (struct bytes){value, sizeof value});
    gathering->first += (uint32_t)gathering->count;
    gathering->count = 0;
    buf_clear(&gathering->sizes);
    buf_clear(&gathering->entries);
    if (gathering->table == SPAN_CHUNKS)
        writer->manifest.groups++;
    else
        writer->manifest.blocks++;
    return error_from_lmdb(writer->code);
}

static int gather_entry(struct span_writer *writer, struct gathering *gathering,
                        struct bytes entry, bool full)
{
    if (full) {
        int error = close_gathering(writer, gathering);
        if (error != 0)
            return error;
    }
    buf_put_varint(&gathering->sizes, entry.size);
    buf_put(&gathering->entries, entry.data, entry.size);
    gathering->count++;
    return buf_ok(&gathering->sizes) && buf_ok(&gathering->entries) ? 0 : ERR_NOMEM;
}

/* -- series ------------------------------------------------------------------------------ */

static int encode_chunks(struct span_writer *writer, const int64_t *times_ms,
                         const double *values, size_t count)
{
    size_t chunks = (count + CHUNK_SAMPLES_KEPT - 1) / CHUNK_SAMPLES_KEPT;
    buf_clear(&writer->entry);
    buf_clear(&writer->chunk_bytes);
    buf_put_varint(&writer->entry, chunks);
    for (size_t at = 0; at < count; at += CHUNK_SAMPLES_KEPT) {
        size_t before = writer->chunk_bytes.size;
        size_t size = count - at < CHUNK_SAMPLES_KEPT ? count - at : CHUNK_SAMPLES_KEPT;
        int error =
            chunk_encode(times_ms + at, values + at, size, CHUNK_SMALL, &writer->chunk_bytes);
        if (error != 0)
            return error;
        buf_put_varint(&writer->entry, writer->chunk_bytes.size - before);
    }
    buf_put(&writer->entry, writer->chunk_bytes.data, writer->chunk_bytes.size);
    writer->manifest.chunks += chunks;
    writer->manifest.samples += count;
    return buf_ok(&writer->entry) ? 0 : ERR_NOMEM;
}

static void widen(struct span_manifest *manifest, int64_t min_ms, int64_t max_ms)
{
    if (min_ms < manifest->min_ms)
        manifest->min_ms = min_ms;
    if (max_ms > manifest->max_ms)
        manifest->max_ms = max_ms;
}

/* The series of the entry at hand. */
static int add_series(struct span_writer *writer, const struct labels *labels)
{
    uint32_t pairs[SERIES_LABELS_MAX];
    must(writer->manifest.series < UINT32_MAX);
    int error = gather_entry(writer, &writer->chunks, buf_bytes(&writer->entry),
                             writer->chunks.entries.size >= GROUP_RAW_BYTES);
    if (error != 0)
        return error;
    buf_clear(&writer->entry);
    labels_write(labels, &writer->entry);
    error = gather_entry(writer, &writer->blocks, buf_bytes(&writer->entry),
                         writer->blocks.count >= LABELS_BLOCK_MAX);
    if (error == 0)
        error =
            postings_add(writer->postings, labels, (uint32_t)writer->manifest.series, pairs);
    if (error != 0)
        return error;
    writer->manifest.series++;
    return error_from_lmdb(writer->code);
}

int span_writer_add_series(struct span_writer *writer, const struct labels *labels,
                           const int64_t *times_ms, const double *values, size_t count)
{
    must(count > 0);
    int error = encode_chunks(writer, times_ms, values, count);
    if (error == 0)
        error = add_series(writer, labels);
    if (error == 0)
        widen(&writer->manifest, times_ms[0], times_ms[count - 1]);
    return error;
}

int span_writer_add_records(struct span_writer *writer, const struct labels *labels,
                            const struct records *records)
{
    size_t chunks = 0;
    must(records->count > 0);
    buf_clear(&writer->entry);
    buf_clear(&writer->chunk_sizes);
    buf_clear(&writer->chunk_bytes);
    int error = records_write(records, &writer->chunk_sizes, &writer->chunk_bytes, &chunks);
    if (error != 0)
        return error;
    buf_put_varint(&writer->entry, chunks);
    buf_put(&writer->entry, writer->chunk_sizes.data, writer->chunk_sizes.size);
    buf_put(&writer->entry, writer->chunk_bytes.data, writer->chunk_bytes.size);
    if (!buf_ok(&writer->chunk_sizes) || !buf_ok(&writer->entry))
        return ERR_NOMEM;
    writer->manifest.chunks += chunks;
    writer->manifest.samples += records->count * RECORD_CHUNKS;
    error = add_series(writer, labels);
    if (error == 0)
        widen(&writer->manifest, records->firsts_ms[0], records->lasts_ms[records->count - 1]);
    return error;
}

void span_writer_set_through(struct span_writer *writer, uint64_t generation)
{
    writer->manifest.through = generation;
}

/* -- logs -------------------------------------------------------------------------------- */

int span_writer_add_log(struct span_writer *writer, struct log_key log_key, int64_t min_ms,
                        int64_t max_ms, struct bytes block)
{
    uint8_t key[LOG_KEY_BYTES];
    uint8_t value[EXTENT_BYTES + 16];
    key_put_u64(key, log_key.stream_id);
    key_put_u64(key + 8, log_key.file_id);
    key_put_u64(key + 16, log_key.offset);
    key_put_u32(key + 24, (uint32_t)writer->manifest.log_blocks);
    struct extent extent = stream_add(writer, 'l', (struct bytes){key, sizeof key}, block);
    extent_put(value, &extent);
    key_put_i64(value + EXTENT_BYTES, min_ms);
    key_put_i64(value + EXTENT_BYTES + 8, max_ms);
    MDB_val row_key = {sizeof key, key};
    MDB_val row = {sizeof value, value};
    if (writer->code == MDB_SUCCESS) /* overlapping blocks need not come in key order */
        writer->code = mdb_put(writer->txn, writer->tables[SPAN_LOGS_TABLE], &row_key, &row, 0);

    uint8_t time_key[12];
    uint8_t time_value[8 + sizeof key];
    key_put_i64(time_key, min_ms);
    key_put_u32(time_key + 8, (uint32_t)writer->manifest.log_blocks);
    key_put_i64(time_value, max_ms);
    memcpy(time_value + 8, key, sizeof key);
    MDB_val k = {sizeof time_key, time_key};
    MDB_val v = {sizeof time_value, time_value};
    if (writer->code == MDB_SUCCESS)
        writer->code = mdb_put(writer->txn, writer->tables[SPAN_LOGS_BY_TIME], &k, &v, 0);
    writer->manifest.log_blocks++;
    widen(&writer->manifest, min_ms, max_ms);
    return error_from_lmdb(writer->code);
}

uint64_t span_writer_count(const struct span_writer *writer)
{
    return writer->manifest.series + writer->manifest.log_blocks;
}

/* -- opening and finishing --------------------------------------------------------------- */

static int open_env(struct span_writer *writer)
{
    int code = mdb_env_create(&writer->env);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxdbs(writer->env, SPAN_TABLES + 2);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_mapsize(writer->env, SPAN_MAP_BYTES);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(writer->env, writer->path,
                            MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NORDAHEAD, 0640);
    return code == MDB_SUCCESS ? begin(writer, true) : code;
}

int span_writer_open(const char *directory, enum span_kind kind, int64_t start_ms,
                     int64_t end_ms, uint64_t generation, struct span_writer **ret_writer,
                     struct diagnosis *why)
{
    char name[SPAN_NAME_BYTES];
    struct span_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    writer->manifest = (struct span_manifest){.version = SPAN_VERSION,
                                              .kind = (uint8_t)kind,
                                              .start_ms = start_ms,
                                              .end_ms = end_ms,
                                              .generation = generation,
                                              .min_ms = INT64_MAX,
                                              .max_ms = INT64_MIN};
    writer->chunks = (struct gathering){.table_letter = 'c', .table = SPAN_CHUNKS};
    writer->blocks = (struct gathering){.table_letter = 's', .table = SPAN_SERIES};
    span_file_name(kind, start_ms, end_ms, generation, name);
    int size =
        snprintf(writer->final_path, sizeof writer->final_path, "%s/%s", directory, name);
    must(size > 0 && (size_t)size + 4 < sizeof writer->final_path);
    memcpy(writer->path, writer->final_path, (size_t)size);
    memcpy(writer->path + size, ".tmp", 5);
    (void)unlink(writer->path);
    int error = postings_new(&writer->postings);
    if (error == 0)
        error = error_from_lmdb(open_env(writer));
    if (error != 0) {
        (void)diagnose(why, error, "%s: %s", writer->path, error_text(error));
        span_writer_abandon(writer);
        return error;
    }
    *ret_writer = writer;
    return 0;
}

static void free_writer(struct span_writer *writer)
{
    if (writer->txn != NULL)
        mdb_txn_abort(writer->txn);
    if (writer->env != NULL)
        mdb_env_close(writer->env);
    postings_free(writer->postings);
    buf_done(&writer->stream);
    buf_done(&writer->chunks.sizes);
    buf_done(&writer->chunks.entries);
    buf_done(&writer->blocks.sizes);
    buf_done(&writer->blocks.entries);
    buf_done(&writer->packed);
    buf_done(&writer->entry);
    buf_done(&writer->chunk_sizes);
    buf_done(&writer->chunk_bytes);
    free(writer);
}

void span_writer_abandon(struct span_writer *writer)
{
    if (writer == NULL)
        return;
    (void)unlink(writer->path);
    free_writer(writer);
}

static int put_index(void *context, struct bytes key, struct bytes payload)
{
    struct span_writer *writer = context;
    writer->manifest.pairs++;
    return error_from_lmdb(put_sealed(writer, SPAN_INDEX, key, payload));
}

/* What is not synced yet goes to the disk piece by piece, each followed by a rest as long as
 * itself: a commit's fsync finds no more than a piece before itself.  A hint, but for EIO,
 * which the kernel tells once. */
static int write_out(const struct span_writer *writer)
{
    mdb_filehandle_t fd;
    struct stat status;
    int code = mdb_env_get_fd(writer->env, &fd);
    if (code != MDB_SUCCESS)
        return code;
    if (fstat(fd, &status) != 0)
        return errno;
    for (off_t at = 0; at + WRITE_OUT_BYTES < status.st_size; at += WRITE_OUT_BYTES) {
        const mono_ns begun = clock_mono(&clock_system);
        if (sync_file_range(fd, at, WRITE_OUT_BYTES,
                            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                SYNC_FILE_RANGE_WAIT_AFTER) != 0)
            return errno == EIO ? EIO : MDB_SUCCESS;
        mono_ns took = clock_mono(&clock_system) - begun;
        took = took < WRITE_OUT_REST_NS ? took : WRITE_OUT_REST_NS;
        (void)nanosleep(&(struct timespec){0, (long)took}, NULL);
    }
    return MDB_SUCCESS;
}

static int write_rest(struct span_writer *writer)
{
    static const char key[] = "manifest";
    int error = close_gathering(writer, &writer->chunks);
    if (error == 0)
        error = close_gathering(writer, &writer->blocks);
    if (error == 0 && !buf_ok(&writer->stream))
        error = ERR_NOMEM;
    if (error == 0 && writer->stream.size > 0)
        put_piece(writer, writer->stream.size);
    if (error == 0)
        error = span_index_write(writer->postings, put_index, writer);
    if (error != 0)
        return error;
    buf_clear(&writer->packed);
    span_manifest_write(&writer->manifest, &writer->packed);
    if (!buf_ok(&writer->packed))
        return ERR_NOMEM;
    if (put_sealed(writer, SPAN_MANIFEST, bytes_of(key), buf_bytes(&writer->packed)) ==
        MDB_SUCCESS)
        writer->code = end(writer);
    if (writer->code == MDB_SUCCESS)
        writer->code = write_out(writer);
    if (writer->code == MDB_SUCCESS)
        writer->code = mdb_env_sync(writer->env, 1);
    return error_from_lmdb(writer->code);
}

static int sync_folder_of(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    must(slash != NULL && (size_t)(slash - path) < sizeof folder);
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    int error = fsync(fd) == 0 ? 0 : ERR_IO;
    (void)close(fd);
    return error;
}

int span_writer_finish(struct span_writer *writer, struct span_info *ret_info,
                       struct diagnosis *why)
{
    struct span_info info = {0};
    int error = write_rest(writer);
    if (error == 0) {
        info.manifest = writer->manifest;
        mdb_env_close(writer->env);
        writer->env = NULL;
        error = span_file_hash(writer->path, &info.file_hash, &info.file_bytes);
    }
    if (error == 0 && rename(writer->path, writer->final_path) != 0)
        error = ERR_IO;
    if (error == 0)
        error = sync_folder_of(writer->final_path);
    if (error != 0) {
        (void)diagnose(why, error, "%s: %s", writer->path, error_text(error));
        span_writer_abandon(writer);
        return error;
    }
    free_writer(writer);
    *ret_info = info;
    return 0;
}

int span_file_hash(const char *path, uint64_t *ret_hash, uint64_t *ret_bytes)
{
    size_t size = (size_t)256 << 10;
    uint8_t *piece = malloc(size);
    XXH3_state_t *state = XXH3_createState();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = piece == NULL || state == NULL ? ERR_NOMEM : fd < 0 ? ERR_IO : 0;
    uint64_t total = 0;
    if (error == 0)
        (void)XXH3_64bits_reset(state);
    while (error == 0) {
        ssize_t got = read(fd, piece, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error = ERR_IO;
        if (got <= 0)
            break;
        (void)XXH3_64bits_update(state, piece, (size_t)got);
        total += (uint64_t)got;
    }
    if (error == 0) {
        *ret_hash = XXH3_64bits_digest(state);
        *ret_bytes = total;
    }
    if (fd >= 0)
        (void)close(fd);
    (void)XXH3_freeState(state);
    free(piece);
    return error;
}
