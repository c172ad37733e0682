/*
 * packed_open.c - zstd for columns, log lines, records and definitions: opening.
 *
 * A hostile frame may promise gigabytes; nothing is allocated until the promise has been
 * compared with the caller's limit, and a frame that promises nothing is refused.
 *
 * The static probe is made without this file (packed_closed.c): what the collector says to a
 * probe is never packed.
 */
#include <stdint.h>
#include <zstd.h>

#include "proto/base/error.h"
#include "proto/wire/packed.h"

int packed_open(struct bytes packed, size_t limit_bytes, struct arena *arena,
                struct bytes *ret_raw)
{
    unsigned long long size = ZSTD_getFrameContentSize(packed.data, packed.size);
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR)
        return ERR_MALFORMED;
    if (size > limit_bytes)
        return ERR_LIMIT;
    uint8_t *data = arena_alloc(arena, (size_t)size + 1, 1);
    if (data == NULL)
        return ERR_NOMEM;
    size_t got = ZSTD_decompress(data, (size_t)size, packed.data, packed.size);
    if (ZSTD_isError(got) || got != size)
        return ERR_MALFORMED;
    *ret_raw = (struct bytes){data, got};
    return 0;
}
