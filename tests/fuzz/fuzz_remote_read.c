/*
 * fuzz_remote_read.c - the parser of remote read requests on any bytes, and the encoder of its
 * answers on any samples.
 *
 * Properties: what parses has compiled matchers within its limits and parses again to the same;
 * a chunk begins with its count and is never larger than its samples could need.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/http/remote_query.h"
#include "collector/http/xor_chunk.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAMPLE_BITS_MAX (4 + 64 + 13 + 64)

static void check_request(const uint8_t *data, size_t size)
{
    struct remote_request request = {0};
    struct remote_request again = {0};
    struct diagnosis why = {0};
    if (remote_request_parse((struct bytes){data, size}, &request, &why) != 0)
        return;
    must(remote_request_parse((struct bytes){data, size}, &again, &why) == 0);
    must(request.count == again.count && request.type == again.type);
    must(request.count <= REMOTE_QUERIES_MAX);
    for (size_t i = 0; i < request.count; i++) {
        const struct selector *selector = &request.queries[i].selector;
        must(selector->count <= REMOTE_MATCHERS_MAX);
        must(matchers_equal(selector->matchers, selector->count,
                            again.queries[i].selector.matchers,
                            again.queries[i].selector.count));
        for (size_t k = 0; k < selector->count; k++)
            (void)matcher_matches_empty(selector->matchers[k]);
    }
    remote_request_free(&request);
    remote_request_free(&again);
}

/* The input as pairs of times and values, in the order in which they stand. */
static void check_chunk(const uint8_t *data, size_t size)
{
    int64_t times_ms[256];
    double values[256];
    size_t count = size / 16 < 256 ? size / 16 : 256;
    struct buf out = {0};
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        memcpy(&times_ms[i], data + 16 * i, 8);
        memcpy(&values[i], data + 16 * i + 8, 8);
    }
    xor_chunk_put(&out, times_ms, values, count);
    must(buf_ok(&out) && (size_t)(out.data[0] << 8 | out.data[1]) == count);
    must(out.size <= 2 + 10 + 8 + 10 + count * SAMPLE_BITS_MAX / 8 + 1);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_request(data, size);
    check_chunk(data, size);
    return 0;
}
