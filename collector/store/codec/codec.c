/*
 * codec.c - the chunk's frame around its times and values.
 */
#include "collector/store/codec/codec.h"

#include <string.h>

#include "collector/store/codec/codec_times.h"
#include "collector/store/codec/codec_values.h"
#include "proto/base/error.h"

#define FORMAT_3_KIND   0x30 /* format 3, float64: if there are literals */
#define FORMAT_2_KIND   0x20 /* format 2, float64 */
#define FORMAT_1_KIND   0x10 /* read, no longer written */

_Static_assert(CHUNK_BLOCK == 64, "patch positions and the cost tables assume it");

int chunk_encode(const int64_t *times_ms, const double *values, size_t count,
                 enum chunk_effort effort, struct buf *out)
{
    if (count == 0)
        return ERR_INVALID;
    if (count > CHUNK_SAMPLES_MAX)
        return ERR_LIMIT;
    for (size_t i = 1; i < count; i++) {
        if (times_ms[i] <= times_ms[i - 1])
            return ERR_INVALID;
    }
    size_t at = out->size;
    buf_put_u8(out, FORMAT_2_KIND);
    buf_put_varint(out, count);
    times_put(out, times_ms, count);
    size_t values_at = out->size;
    values_put(out, values, count, effort == CHUNK_QUICK ? WITHOUT_TOKENS : 0);
    if (!buf_ok(out))
        return ERR_NOMEM;
    if (out->data[values_at] == CODING_LITERALS)
        out->data[at] = FORMAT_3_KIND;
    return 0;
}

static int open_chunk(struct reader *reader, struct times_head *ret_head, size_t *ret_count)
{
    uint8_t format = reader_u8(reader);
    if (format != FORMAT_3_KIND && format != FORMAT_2_KIND && format != FORMAT_1_KIND)
        return ERR_MALFORMED;
    uint64_t count = reader_varint(reader);
    if (reader->failed || count == 0 || count > CHUNK_SAMPLES_MAX ||
        !times_head_get(reader, (size_t)count, ret_head))
        return ERR_MALFORMED;
    *ret_count = (size_t)count;
    return 0;
}

int chunk_describe(struct bytes chunk, size_t *ret_count, int64_t *ret_first_ms,
                   int64_t *ret_last_ms)
{
    struct reader reader = reader_of(chunk);
    struct times_head head;
    size_t count;

    int error = open_chunk(&reader, &head, &count);
    if (error != 0)
        return error;
    *ret_count = count;
    *ret_first_ms = head.first_ms;
    *ret_last_ms = head.last_ms;
    return 0;
}

int chunk_decode_told(struct bytes chunk, bool times_only, int64_t *times_ms, double *values,
                      size_t *ret_count, struct chunk_told *ret_told)
{
    struct reader reader = reader_of(chunk);
    struct times_head head;
    size_t count;

    int error = open_chunk(&reader, &head, &count);
    if (error != 0)
        return error;
    if (!times_get(&reader, &head, times_ms, count))
        return ERR_MALFORMED;
    bool plain = values_are_plain(&reader);
    if (times_only && plain)
        memset(values, 0, count * sizeof *values);
    else if (!values_get(&reader, values, count) || reader_left(&reader) != 0)
        return ERR_MALFORMED;
    *ret_count = count;
    *ret_told = (struct chunk_told){.is_plain = plain};
    if (head.regular && count > 2) /* so it does not overflow */
        ret_told->interval_ms = times_ms[1] - times_ms[0];
    return 0;
}

int chunk_decode(struct bytes chunk, int64_t *times_ms, double *values, size_t *ret_count)
{
    struct chunk_told ignored;
    return chunk_decode_told(chunk, false, times_ms, values, ret_count, &ignored);
}
