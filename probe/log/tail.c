/*
 * tail.c - see tail.h.
 *
 *   note value
 *     u8      version, 1
 *     varint  device; varint inode; zigzag birth (ns)
 *     u64     id
 *     varint  order; varint offset; varint truncations
 *     u8      flags: 1 skipping, 2 rotated, 4 finished, 8 compressed
 *     varint  fingerprint's size; u64 its hash
 *     zigzag  last change (ns)
 *     sized   path
 */
#include "probe/log/tail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define NOTE_VERSION  1
#define FLAG_SKIPPING 1u
#define FLAG_ROTATED  2u
#define FLAG_FINISHED 4u
#define FLAG_GZIP     8u

/* The first bytes of what is, or was, in the file. */
static int read_first(const struct tail *tail, uint8_t *to, size_t room, size_t *ret_size)
{
    if (tail->position.is_gzip)
        return gzip_first(tail->fd, to, room, ret_size);
    ssize_t got = pread(tail->fd, to, room, 0);
    *ret_size = got > 0 ? (size_t)got : 0;
    return got < 0 ? ERR_IO : 0;
}

void tail_settle_encoding(struct tail *tail, enum log_encoding encoding)
{
    uint8_t first[2];
    size_t size = 0;
    if (read_first(tail, first, sizeof first, &size) != 0)
        size = 0;
    tail->encoding = log_encoding_of_file(encoding, (struct bytes){first, size});
}

void tail_begin(struct tail *tail, int fd, const struct file_facts *facts,
                enum log_encoding encoding, int64_t now_ms)
{
    *tail = (struct tail){.fd = fd,
                          .position = {.identity = facts->identity},
                          .grown_ms = now_ms,
                          .is_changed = true};
    tail_settle_encoding(tail, encoding);
}

void tail_resume(struct tail *tail, int fd, const struct tail_position *position,
                 enum log_encoding encoding, int64_t now_ms)
{
    *tail = (struct tail){.fd = fd, .position = *position, .grown_ms = now_ms};
    tail->position.modified_ns = 0; /* so that the first look is a close one */
    tail_settle_encoding(tail, encoding);
}

void tail_close(struct tail *tail)
{
    if (tail->fd >= 0)
        (void)close(tail->fd);
    tail->fd = -1;
    gzip_free(tail->gzip);
    tail->gzip = NULL;
}

static void start_over(struct tail *tail, int64_t now_ms)
{
    struct tail_position *position = &tail->position;
    tail->before = position->fingerprint;
    position->id = 0;
    position->offset = 0;
    position->skipping = false;
    position->truncations++;
    position->fingerprint = (struct fingerprint){0};
    tail->is_changed = true;
    tail->grown_ms = now_ms;
}

int tail_look(struct tail *tail, enum log_encoding encoding, int64_t now_ms,
              enum tail_change *ret_change)
{
    struct file_facts facts;
    struct tail_position *position = &tail->position;
    *ret_change = TAIL_SAME;
    if (position->is_gzip)
        return 0; /* what was compressed does not change */
    int error = facts_of_descriptor(tail->fd, &facts);
    if (error != 0)
        return error;
    if (facts.size == tail->size && facts.modified_ns == position->modified_ns) {
        return 0;
    }
    enum tail_change change = facts.size == tail->size ? TAIL_SAME : TAIL_GREW;
    if (facts.size < position->offset || !fingerprint_holds(tail->fd, &position->fingerprint)) {
        change = TAIL_TRUNCATED;
        start_over(tail, now_ms);
    }
    if (position->fingerprint.size < FINGERPRINT_BYTES) {
        struct fingerprint longer;
        error = fingerprint_take(tail->fd, FINGERPRINT_BYTES, &longer);
        if (error != 0)
            return error;
        tail->is_changed |= longer.size != position->fingerprint.size;
        position->fingerprint = longer;
        if (position->offset == 0)
            tail_settle_encoding(tail, encoding);
    }
    tail->size = facts.size;
    position->modified_ns = facts.modified_ns;
    if (change == TAIL_GREW)
        tail->grown_ms = now_ms;
    *ret_change = change;
    return 0;
}

static int read_gzip(struct tail *tail, uint8_t *to, size_t room, size_t *ret_size)
{
    int error = tail->gzip == NULL ? gzip_new(tail->fd, &tail->gzip) : 0;
    return error == 0 ? gzip_read(tail->gzip, tail->position.offset, to, room, ret_size)
                      : error;
}

int tail_read(struct tail *tail, uint8_t *to, size_t room, size_t *ret_size)
{
    size_t have = 0;
    if (tail->position.is_gzip)
        return read_gzip(tail, to, room, ret_size);
    while (have < room) {
        ssize_t got =
            pread(tail->fd, to + have, room - have, (off_t)(tail->position.offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *ret_size = have;
    return 0;
}

int tail_identify(struct tail *tail, int64_t now_ms)
{
    struct {
        uint64_t device, inode, truncations, line;
        int64_t birth;
    } seed = {0};
    uint8_t first[FINGERPRINT_BYTES];
    size_t size;
    int error = read_first(tail, first, sizeof first, &size);
    if (error != 0)
        return error;
    size_t line = log_newline_find(tail->encoding, (struct bytes){first, size});
    seed.device = tail->position.identity.device;
    seed.inode = tail->position.identity.inode;
    seed.truncations = tail->position.truncations;
    seed.line = XXH3_64bits(first, line);
    /* Without a birth an inode that is used again could pass for the file before: then the time
     * of the first look takes its place, which is remembered in the note, but not reproducible.
     */
    seed.birth =
        tail->position.identity.birth_ns != 0 ? tail->position.identity.birth_ns : now_ms;
    uint64_t id = XXH3_64bits(&seed, sizeof seed);
    tail->position.id = id == 0 ? 1 : id;
    tail->is_changed = true;
    return 0;
}

/* ---- notes ------------------------------------------------------------------------------ */

struct bytes tail_note_key(const struct identity *identity, char key[TAIL_KEY_BYTES])
{
    int size = snprintf(key, TAIL_KEY_BYTES, "log/%" PRIx64 "-%" PRIx64, identity->device,
                        identity->inode);
    must(size > 0 && size < TAIL_KEY_BYTES);
    return bytes_of(key);
}

void tail_note_write(const struct tail_position *position, struct bytes path, struct buf *out)
{
    unsigned flags =
        (position->skipping ? FLAG_SKIPPING : 0) | (position->is_rotated ? FLAG_ROTATED : 0) |
        (position->is_finished ? FLAG_FINISHED : 0) | (position->is_gzip ? FLAG_GZIP : 0);
    buf_put_u8(out, NOTE_VERSION);
    buf_put_varint(out, position->identity.device);
    buf_put_varint(out, position->identity.inode);
    buf_put_zigzag(out, position->identity.birth_ns);
    buf_put_u64(out, position->id);
    buf_put_varint(out, position->order);
    buf_put_varint(out, position->offset);
    buf_put_varint(out, position->truncations);
    buf_put_u8(out, (uint8_t)flags);
    buf_put_varint(out, position->fingerprint.size);
    buf_put_u64(out, position->fingerprint.hash);
    buf_put_zigzag(out, position->modified_ns);
    buf_put_sized(out, path);
}

int tail_note_read(struct bytes value, struct tail_position *ret_position,
                   struct bytes *ret_path)
{
    struct tail_position position = {0};
    struct reader reader = reader_of(value);
    uint8_t version = reader_u8(&reader);
    position.identity.device = reader_varint(&reader);
    position.identity.inode = reader_varint(&reader);
    position.identity.birth_ns = reader_zigzag(&reader);
    position.id = reader_u64(&reader);
    position.order = reader_varint(&reader);
    position.offset = reader_varint(&reader);
    uint64_t truncations = reader_varint(&reader);
    uint8_t flags = reader_u8(&reader);
    uint64_t fingerprint_size = reader_varint(&reader);
    position.fingerprint.hash = reader_u64(&reader);
    position.modified_ns = reader_zigzag(&reader);
    struct bytes path = reader_sized(&reader);
    if (reader.failed || version != NOTE_VERSION || reader_left(&reader) != 0 ||
        truncations > UINT32_MAX || fingerprint_size > FINGERPRINT_BYTES ||
        position.offset > INT64_MAX || path.size == 0)
        return ERR_MALFORMED;
    position.truncations = (uint32_t)truncations;
    position.fingerprint.size = (uint32_t)fingerprint_size;
    position.skipping = (flags & FLAG_SKIPPING) != 0;
    position.is_rotated = (flags & FLAG_ROTATED) != 0;
    position.is_finished = (flags & FLAG_FINISHED) != 0;
    position.is_gzip = (flags & FLAG_GZIP) != 0;
    *ret_position = position;
    *ret_path = path;
    return 0;
}
