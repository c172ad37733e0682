/*
 * cursor.c - see cursor.h.
 */
#include "collector/remote/cursor.h"

#include "collector/remote/settings.h"
#include "proto/base/error.h"

#define VERSION 1

void cursor_write(const struct cursor *cursor, struct buf *out)
{
    buf_put_u8(out, VERSION);
    buf_put_varint(out, cursor->begin.commit);
    buf_put_varint(out, cursor->begin.index);
    buf_put_varint(out, cursor->end.commit);
    buf_put_varint(out, cursor->end.index);
    buf_put_varint(out, cursor->shards);
    buf_put_u64(out, cursor->acknowledged);
    buf_put_zigzag(out, cursor->level_ms);
}

int cursor_read(struct bytes row, struct cursor *ret_cursor)
{
    struct reader reader = reader_of(row);
    struct cursor cursor = {0};
    if (reader_u8(&reader) != VERSION)
        return ERR_MALFORMED;
    cursor.begin.commit = reader_varint(&reader);
    cursor.begin.index = reader_varint(&reader);
    cursor.end.commit = reader_varint(&reader);
    cursor.end.index = reader_varint(&reader);
    uint64_t shards = reader_varint(&reader);
    cursor.shards = (uint32_t)shards;
    cursor.acknowledged = reader_u64(&reader);
    cursor.level_ms = reader_zigzag(&reader);
    if (reader.failed || reader_left(&reader) != 0 || shards > REMOTE_SHARDS_MAX ||
        (shards > 0 && !remote_place_before(cursor.begin, cursor.end)))
        return ERR_MALFORMED;
    *ret_cursor = cursor;
    return 0;
}
