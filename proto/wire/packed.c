/*
 * packed.c - zstd for columns, log lines, records and definitions: making.
 */
#include "proto/wire/packed.h"

#include <stdint.h>
#include <zstd.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define LEVEL         1
#define WINDOW_LOG    14
#define HASH_LOG      12
#define RAW_BYTES_MIN 128 /* below this the frame's own bytes eat the gain */

static ZSTD_CCtx *context_new(void)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (context == NULL)
        return NULL;
    must(!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL)));
    must(!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, WINDOW_LOG)));
    must(!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, HASH_LOG)));
    return context;
}

int packed_make(struct bytes raw, struct arena *arena, struct bytes *ret_packed)
{
    if (raw.size < RAW_BYTES_MIN)
        return ERR_LIMIT;
    /* The room is exactly what we are willing to accept; zstd gives up when it is full. */
    size_t room = raw.size - raw.size / 8;
    uint8_t *data = arena_alloc(arena, room, 1);
    ZSTD_CCtx *context = context_new();
    if (data == NULL || context == NULL) {
        (void)ZSTD_freeCCtx(context);
        return ERR_NOMEM;
    }
    size_t size = ZSTD_compress2(context, data, room, raw.data, raw.size);
    (void)ZSTD_freeCCtx(context);
    if (ZSTD_isError(size))
        return ERR_LIMIT;
    *ret_packed = (struct bytes){data, size};
    return 0;
}
