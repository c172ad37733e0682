/*
 * fuzz_columns.c - columns decoded from rubbish, alone and against a base, survive a second
 * trip.
 *
 * The first byte chooses coding (bit 0) and compression (bit 1), the next two the count.
 */
#include "proto/base/must.h"
#include "proto/wire/columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t base_refs[] = {0, 1, 2, 3, 10, 11, 12, 500};
static const double base_values[] = {0, 1, -2.5, 1e300, 1234.56, 0.1, 4096, -0.0};
static const struct sample_columns base = {base_refs, base_values, 8};

static void must_be_same(const struct sample_columns *a, const struct sample_columns *b)
{
    must(a->count == b->count);
    must(a->count == 0 || (memcmp(a->refs, b->refs, a->count * sizeof *a->refs) == 0 &&
                           memcmp(a->values, b->values, a->count * sizeof *a->values) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct sample_columns first, second;
    struct coded_columns again;

    if (size < 3)
        return 0;
    const struct coded_columns coded = {
        .coding = (data[0] & 1) != 0 ? COLUMNS_BASED : COLUMNS_PLAIN,
        .compression = data[0] >> 1 & 1,
        .count = data[1] + 256u * data[2],
        .data = {data + 3, size - 3},
    };
    arena_init(&arena, (size_t)64 << 20);
    if (columns_decode(&coded, &base, &arena, &first) == 0) {
        const struct sample_columns *bases[] = {NULL, &base, &first};
        for (size_t i = 0; i < 3; i++) {
            must(columns_encode(&first, bases[i], 1, &arena, &again) == 0);
            must(columns_decode(&again, bases[i], &arena, &second) == 0);
            must_be_same(&first, &second);
        }
    }
    arena_reset(&arena);
    return 0;
}
