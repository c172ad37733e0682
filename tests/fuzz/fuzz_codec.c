/*
 * fuzz_codec.c - two questions to the chunk codec, told apart by the first byte.
 *
 *   even: the rest is a chunk.  Whatever decodes must agree with its description, and encoding
 *         what came out must give it back.
 *   odd:  the rest is samples, ten bytes each: step of time u16, bits u64.  They must survive.
 */
#include <stdlib.h>

#include "collector/series/queryable.h"
#include "collector/store/codec/codec.h"
#include "proto/base/must.h"

#define SAMPLE_BYTES 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Who looks at times alone, or asks whether there are markers, is told the truth. */
static void must_agree(struct bytes chunk, const int64_t *times, const double *values,
                       size_t count)
{
    size_t got_count;
    struct chunk_told told;
    int64_t *got_times = malloc(count * sizeof *got_times);
    double *got_values = malloc(count * sizeof *got_values);

    must(got_times != NULL && got_values != NULL);
    must(chunk_decode_told(chunk, true, got_times, got_values, &got_count, &told) == 0);
    must(got_count == count && memcmp(got_times, times, count * sizeof *times) == 0);
    for (size_t i = 0; i < count; i++) {
        must(is_stale_nan(got_values[i]) == is_stale_nan(values[i]));
        must(!told.is_plain || !is_stale_nan(values[i]));
        must(i == 0 || told.interval_ms == 0 || times[i] - times[i - 1] == told.interval_ms);
    }
    free(got_times);
    free(got_values);
}

static void must_survive_effort(const int64_t *times, const double *values, size_t count,
                                enum chunk_effort effort)
{
    struct buf buf = {0};
    size_t got_count;
    int64_t first, last;
    int64_t *got_times = malloc(count * sizeof *got_times);
    double *got_values = malloc(count * sizeof *got_values);

    must(got_times != NULL && got_values != NULL);
    must(chunk_encode(times, values, count, effort, &buf) == 0);
    must(chunk_describe(buf_bytes(&buf), &got_count, &first, &last) == 0);
    must(got_count == count && first == times[0] && last == times[count - 1]);
    must(chunk_decode(buf_bytes(&buf), got_times, got_values, &got_count) == 0);
    must(got_count == count);
    must(memcmp(got_times, times, count * sizeof *times) == 0);
    must(memcmp(got_values, values, count * sizeof *values) == 0);
    must_agree(buf_bytes(&buf), times, values, count);
    free(got_times);
    free(got_values);
    buf_done(&buf);
}

static void must_survive(const int64_t *times, const double *values, size_t count)
{
    must_survive_effort(times, values, count, CHUNK_QUICK);
    must_survive_effort(times, values, count, CHUNK_SMALL);
}

static void try_chunk(struct bytes chunk)
{
    size_t count, got_count;
    int64_t first, last;

    if (chunk_describe(chunk, &count, &first, &last) != 0)
        return;
    int64_t *times = malloc(count * sizeof *times);
    double *values = malloc(count * sizeof *values);
    must(times != NULL && values != NULL);
    if (chunk_decode(chunk, times, values, &got_count) == 0) {
        must(got_count == count && times[0] == first && times[count - 1] == last);
        must_agree(chunk, times, values, count);
        must_survive(times, values, count);
    }
    free(times);
    free(values);
}

static void try_samples(const uint8_t *data, size_t count)
{
    int64_t *times = malloc(count * sizeof *times);
    double *values = malloc(count * sizeof *values);
    int64_t now = 1700000000000;

    must(times != NULL && values != NULL);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = data + i * SAMPLE_BYTES;
        now += 1 + at[0] + 256 * at[1];
        times[i] = now;
        memcpy(&values[i], at + 2, sizeof values[i]);
    }
    must_survive(times, values, count);
    free(times);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t count = (size - 1) / SAMPLE_BYTES;
    if (data[0] % 2 == 0)
        try_chunk((struct bytes){data + 1, size - 1});
    else if (count > 0 && count <= CHUNK_SAMPLES_MAX)
        try_samples(data + 1, count);
    return 0;
}
