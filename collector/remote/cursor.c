/*
 * cursor.c - see cursor.h.
 */
#include "collector/remote/cursor.h"

#include "collector/remote/settings.h"
#include "proto/base/error.h"

#define VERSION       1
#define VERSION_PARTS 2

_Static_assert(REMOTE_SHARDS_MAX <= CURSOR_SHARDS_MAX, "a cursor has room for all shards");

void cursor_write(const struct cursor *cursor, struct buf *out)
{
    uint32_t parts = 0;
    for (uint32_t i = 0; i < cursor->shards; i++)
        parts += cursor->next[i] != 0;
    buf_put_u8(out, parts == 0 ? VERSION : VERSION_PARTS);
    buf_put_varint(out, cursor->begin.commit);
    buf_put_varint(out, cursor->begin.index);
    buf_put_varint(out, cursor->end.commit);
    buf_put_varint(out, cursor->end.index);
    buf_put_varint(out, cursor->shards);
    buf_put_u64(out, cursor->acknowledged);
    buf_put_zigzag(out, cursor->level_ms);
    if (parts == 0)
        return;
    buf_put_varint(out, parts);
    for (uint32_t i = 0; i < cursor->shards; i++)
        if (cursor->next[i] != 0) {
            buf_put_varint(out, i);
            buf_put_varint(out, cursor->next[i]);
        }
}

static int read_parts(struct reader *reader, struct cursor *cursor)
{
    uint64_t parts = reader_varint(reader);
    for (uint64_t i = 0; i < parts && !reader->failed; i++) {
        uint64_t shard = reader_varint(reader);
        uint64_t place = reader_varint(reader);
        if (shard >= cursor->shards || place > UINT32_MAX)
            return ERR_MALFORMED;
        cursor->next[shard] = (uint32_t)place;
    }
    return 0;
}

int cursor_read(struct bytes row, struct cursor *ret_cursor)
{
    struct reader reader = reader_of(row);
    struct cursor cursor = {0};
    uint8_t version = reader_u8(&reader);
    if (version != VERSION && version != VERSION_PARTS)
        return ERR_MALFORMED;
    cursor.begin.commit = reader_varint(&reader);
    cursor.begin.index = reader_varint(&reader);
    cursor.end.commit = reader_varint(&reader);
    cursor.end.index = reader_varint(&reader);
    uint64_t shards = reader_varint(&reader);
    cursor.shards = (uint32_t)shards;
    cursor.acknowledged = reader_u64(&reader);
    cursor.level_ms = reader_zigzag(&reader);
    if (reader.failed || shards > REMOTE_SHARDS_MAX ||
        (version == VERSION_PARTS && read_parts(&reader, &cursor) != 0))
        return ERR_MALFORMED;
    if (reader.failed || reader_left(&reader) != 0 ||
        (shards > 0 && !remote_place_before(cursor.begin, cursor.end)))
        return ERR_MALFORMED;
    *ret_cursor = cursor;
    return 0;
}
