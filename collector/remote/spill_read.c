/*
 * spill_read.c - spill files, read.
 */
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "collector/remote/spill_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define MAGIC "FSSPILL1"

static void put_u64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof value);
}

static uint64_t get_u64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return le64toh(value);
}

void spill_head_put(uint64_t samples, uint64_t first, uint8_t head[SPILL_HEAD_BYTES])
{
    memcpy(head, MAGIC, 8);
    put_u64(head + 8, samples);
    put_u64(head + 16, XXH3_64bits_withSeed(head, 16, first));
}

bool spill_head_read(const uint8_t head[SPILL_HEAD_BYTES], uint64_t first, uint64_t *ret_samples)
{
    *ret_samples = get_u64(head + 8);
    return memcmp(head, MAGIC, 8) == 0 &&
           get_u64(head + 16) == XXH3_64bits_withSeed(head, 16, first);
}

static uint64_t seal_of_block(const uint8_t *at, size_t packed)
{
    return XXH3_64bits_withSeed(at + SPILL_BLOCK_BYTES, packed, XXH3_64bits(at, 24));
}

void spill_block_put(const struct spill_block *block, uint8_t *at)
{
    put_u64(at, (uint64_t)block->raw << 32 | block->packed);
    put_u64(at + 8, block->first);
    put_u64(at + 16, block->last);
    put_u64(at + 24, seal_of_block(at, block->packed));
}

int spill_block_read(const uint8_t at[SPILL_BLOCK_BYTES], struct spill_block *ret_block)
{
    uint64_t sizes = get_u64(at);
    const struct spill_block block = {.packed = (uint32_t)sizes,
                                      .raw = (uint32_t)(sizes >> 32),
                                      .first = get_u64(at + 8),
                                      .last = get_u64(at + 16),
                                      .seal = get_u64(at + 24)};
    if (block.raw > SPILL_RAW_BYTES_MAX || block.packed > ZSTD_compressBound(block.raw) ||
        block.first > block.last)
        return ERR_MALFORMED;
    *ret_block = block;
    return 0;
}

int spill_block_decode(struct bytes bytes, struct buf *raw, struct batch *batch)
{
    struct spill_block block;
    if (bytes.size < SPILL_BLOCK_BYTES || spill_block_read(bytes.data, &block) != 0 ||
        bytes.size != SPILL_BLOCK_BYTES + (size_t)block.packed ||
        seal_of_block(bytes.data, block.packed) != block.seal)
        return ERR_CORRUPT;
    const uint8_t *packed = bytes.data + SPILL_BLOCK_BYTES;
    if (ZSTD_getFrameContentSize(packed, block.packed) != block.raw)
        return ERR_CORRUPT;
    buf_clear(raw);
    uint8_t *to = buf_reserve(raw, (size_t)block.raw + 1);
    if (to == NULL)
        return ERR_NOMEM;
    size_t size = ZSTD_decompress(to, block.raw, packed, block.packed);
    if (ZSTD_isError(size) || size != block.raw)
        return ERR_CORRUPT;
    return batch_decode((struct bytes){to, size}, batch);
}

/* ---- reading ----------------------------------------------------------------------------- */

void spill_reader_init(struct spill_reader *reader)
{
    *reader = (struct spill_reader){.fd = -1};
}

static void close_file(struct spill_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
}

void spill_reader_done(struct spill_reader *reader)
{
    close_file(reader);
    buf_done(&reader->packed);
    buf_done(&reader->raw);
}

/* Opens the file of the commit, if it is not the one that is open. */
static int open_file(struct spill *spill, struct spill_reader *reader, uint64_t commit)
{
    char path[SPILL_PATH];
    int error = ERR_NOTFOUND;
    must(pthread_mutex_lock(&spill->lock) == 0);
    for (size_t i = 0; i < spill->count; i++) {
        const struct spill_file *file = &spill->files[i];
        if (file->first > commit || file->last < commit)
            continue;
        error = 0;
        if (reader->fd >= 0 && reader->first == file->first)
            break;
        close_file(reader);
        spill_path(spill, file, path);
        /* Under the lock, so that nobody unlinks it meanwhile. */
        reader->fd = open(path, O_RDONLY | O_CLOEXEC);
        reader->first = file->first;
        reader->last = file->last;
        reader->offset = SPILL_HEAD_BYTES;
        error = reader->fd < 0 ? ERR_IO : 0;
        break;
    }
    must(pthread_mutex_unlock(&spill->lock) == 0);
    return error;
}

/* Moves on to the block that holds the commit, from the first on if need be. */
static int find_block(struct spill_reader *reader, uint64_t commit, struct spill_block *ret_block)
{
    uint8_t head[SPILL_BLOCK_BYTES];
    for (bool is_anew = reader->offset == SPILL_HEAD_BYTES;;) {
        ssize_t got = pread(reader->fd, head, sizeof head, (off_t)reader->offset);
        if (got < 0)
            return ERR_IO;
        if ((size_t)got == sizeof head && spill_block_read(head, ret_block) == 0 &&
            ret_block->last < commit) {
            reader->offset += SPILL_BLOCK_BYTES + (uint64_t)ret_block->packed;
            continue;
        }
        if ((size_t)got == sizeof head && ret_block->first <= commit && ret_block->last >= commit)
            return 0;
        if (is_anew)
            return ERR_CORRUPT;
        reader->offset = SPILL_HEAD_BYTES; /* the caller went back */
        is_anew = true;
    }
}

static int read_block(struct spill_reader *reader, size_t packed, struct batch *batch)
{
    size_t size = SPILL_BLOCK_BYTES + packed;
    buf_clear(&reader->packed);
    uint8_t *to = buf_reserve(&reader->packed, size);
    if (to == NULL)
        return ERR_NOMEM;
    ssize_t got = pread(reader->fd, to, size, (off_t)reader->offset);
    if (got < 0)
        return ERR_IO;
    int error = spill_block_decode((struct bytes){to, (size_t)got}, &reader->raw, batch);
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}

int spill_read(struct spill *spill, struct spill_reader *reader, uint64_t commit,
               struct batch *batch, uint64_t *ret_resume)
{
    struct spill_block block = {0};
    int error = open_file(spill, reader, commit);
    if (error != 0)
        return error;
    error = find_block(reader, commit, &block);
    bool is_found = error == 0;
    if (error == 0)
        error = read_block(reader, block.packed, batch);
    if (error == 0 && batch_find(batch, commit) == NULL &&
        (batch->commit_count == 0 || batch->commits[batch->commit_count - 1].commit < commit))
        error = ERR_CORRUPT;
    if (error != ERR_CORRUPT)
        return error;
    /* Without its header nobody knows where the next block begins. */
    uint64_t resume = is_found && block.last <= reader->last ? block.last + 1 : reader->last + 1;
    log_error("remote", "spilled commits %" PRIu64 " to %" PRIu64 " are damaged: not sent", commit,
              resume - 1);
    *ret_resume = resume;
    return ERR_CORRUPT;
}
