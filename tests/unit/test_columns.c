/*
 * test_columns.c - columns alone and against a base: bit for bit, small, and safe to decode.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "proto/wire/columns.h"
#include "tests/unit/wire_samples.h"

#define ARENA_BYTES ((size_t)16 << 20)
#define MANY        900

static void round_trip(const struct sample_columns *samples, const struct sample_columns *base,
                       size_t *ret_size)
{
    struct arena arena;
    struct coded_columns coded;
    struct sample_columns got;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(columns_encode(samples, base, 5, &arena, &coded), 0);
    assert_int_equal(columns_decode(&coded, base, &arena, &got), 0);
    assert_same_columns(samples, &got);
    if (ret_size != NULL)
        *ret_size = coded.data.size;
    arena_reset(&arena);
}

static void every_kind_of_value_survives_alone_and_against_every_other(void **state)
{
    struct plain_batch batch = sample_batch();
    double turned[14];
    (void)state;

    round_trip(&batch.samples, NULL, NULL);
    for (size_t turn = 0; turn < 14; turn++) {
        for (size_t i = 0; i < 14; i++)
            memcpy(&turned[i], &sample_value_bits[(i + turn) % 14], sizeof turned[i]);
        const struct sample_columns samples = {sample_refs, turned, 14};
        round_trip(&samples, &batch.samples, NULL);
        round_trip(&batch.samples, &samples, NULL);
    }
}

/* A small generator; the same sequence everywhere. */
static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 16;
}

static void random_values_and_random_bases_survive(void **state)
{
    uint64_t seed = 1;
    (void)state;

    for (int round = 0; round < 300; round++) {
        uint64_t refs[2][200];
        double values[2][200];
        struct sample_columns columns[2];
        for (int side = 0; side < 2; side++) {
            uint64_t ref = 0;
            size_t count = next_random(&seed) % 200;
            for (size_t i = 0; i < count; i++) {
                uint64_t random = next_random(&seed);
                ref += 1 + (random % 4 == 0 ? random >> 4 & 1023 : 0);
                refs[side][i] = ref;
                double decimal = (double)(int64_t)(next_random(&seed) % 2000000) - 1000000;
                if (random >> 20 & 1)
                    decimal /= 1000;
                if (random >> 21 & 1)
                    decimal *= 1e9;
                values[side][i] = decimal;
                if ((random >> 22 & 7) == 0) {
                    uint64_t bits = next_random(&seed) << 16 ^ next_random(&seed);
                    memcpy(&values[side][i], &bits, sizeof bits);
                }
            }
            columns[side] = (struct sample_columns){refs[side], values[side], count};
        }
        round_trip(&columns[0], NULL, NULL);
        round_trip(&columns[0], &columns[1], NULL);
    }
}

static void an_unchanged_value_costs_a_bit_and_a_small_step_a_byte(void **state)
{
    static uint64_t refs[MANY];
    static double before[MANY], after[MANY];
    size_t size;
    (void)state;

    for (size_t i = 0; i < MANY; i++) {
        refs[i] = i + 100;
        before[i] = (double)(i * 1000003) / 100;
        after[i] = before[i];
    }
    const struct sample_columns base = {refs, before, MANY};
    const struct sample_columns samples = {refs, after, MANY};
    round_trip(&samples, &base, &size);
    assert_in_range(size, 1, 1 + (MANY + 7) / 8);
    for (size_t i = 0; i < MANY; i += 10)
        after[i] = ((double)(i * 1000003) + 7) / 100;
    round_trip(&samples, &base, &size);
    assert_in_range(size, 1, 1 + (MANY + 7) / 8 + MANY / 10 * 2);
}

static void a_base_without_a_common_ref_is_not_used(void **state)
{
    static const uint64_t refs[] = {1, 2}, others[] = {3, 4};
    static const double values[] = {1, 2};
    const struct sample_columns samples = {refs, values, 2}, base = {others, values, 2};
    struct arena arena;
    struct coded_columns coded;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(columns_encode(&samples, &base, 5, &arena, &coded), 0);
    assert_int_equal(coded.coding, COLUMNS_PLAIN);
    assert_int_equal(columns_encode(&samples, &samples, 5, &arena, &coded), 0);
    assert_int_equal(coded.coding, COLUMNS_BASED);
    assert_int_equal(coded.base_number, 5);
    struct sample_columns got = {.count = 77};
    assert_int_equal(columns_decode(&coded, NULL, &arena, &got), ERR_INVALID);
    assert_int_equal(got.count, 77);
    /* The wrong base has other refs or another count; a missing one is noticed by its count. */
    const struct sample_columns shorter = {refs, values, 1};
    assert_int_equal(columns_decode(&coded, &shorter, &arena, &got), ERR_MALFORMED);
    arena_reset(&arena);
}

static void rubbish_is_refused(void **state)
{
    static const struct {
        const char *because;
        const char *data;
        size_t size;
        uint64_t count;
        uint32_t compression;
        int error;
    } cases[] = {
        {"no data", "", 0, 0, 0, ERR_MALFORMED},
        {"unknown form of refs", "\x02", 1, 0, 0, ERR_MALFORMED},
        {"refs of a base that is not there", "\x01", 1, 0, 0, ERR_MALFORMED},
        {"more samples than the limit", "\0", 1, BATCH_SAMPLES_MAX + 1, 0, ERR_LIMIT},
        {"more samples than bytes", "\0\0\0", 3, 60000, 0, ERR_MALFORMED},
        {"a run longer than the count", "\0\0\x05\0", 4, 2, 0, ERR_MALFORMED},
        {"a ref past the limit", "\0\xFF\xFF\xFF\x07\x01\0", 7, 2, 0, ERR_MALFORMED},
        {"touching runs", "\0\0\0\0\0\0", 6, 2, 0, ERR_MALFORMED},
        {"a spare bit set", "\0\0\x01\x04\x02", 5, 2, 0, ERR_MALFORMED},
        {"a code missing", "\0\0\x01\x03\x02", 5, 2, 0, ERR_MALFORMED},
        {"a code too many", "\0\0\x01\x01\x02\x02", 6, 2, 0, ERR_MALFORMED},
        {"an unknown code", "\0\0\0\x01\x31", 5, 1, 0, ERR_MALFORMED},
        {"an unknown compression", "\0", 1, 0, 2, ERR_MALFORMED},
        {"no zstd frame", "\0\0\0\0", 4, 0, 1, ERR_MALFORMED},
        {"a frame of 4 GiB", "\x28\xB5\x2F\xFD\xA0\xFF\xFF\xFF\xFF\x01\0\0", 12, 9, 1,
         ERR_LIMIT},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        struct sample_columns got = {.count = 77};
        const struct coded_columns coded = {
            .count = cases[i].count,
            .compression = cases[i].compression,
            .data = {(const uint8_t *)cases[i].data, cases[i].size},
        };
        print_message("%s\n", cases[i].because);
        arena_init(&arena, ARENA_BYTES);
        assert_int_equal(columns_decode(&coded, NULL, &arena, &got), cases[i].error);
        assert_int_equal(got.count, 77);
        arena_reset(&arena);
    }
}

static void the_encoder_has_the_same_limits(void **state)
{
    static const uint64_t descending[] = {2, 1}, large[] = {REFS_MAX};
    static const double values[] = {1, 2};
    static const struct sample_columns unfit[] = {
        {descending, values, 2}, {large, values, 1}, {NULL, NULL, BATCH_SAMPLES_MAX + 1}};
    (void)state;

    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        struct arena arena;
        struct coded_columns coded;
        arena_init(&arena, ARENA_BYTES);
        assert_int_equal(columns_encode(&unfit[i], NULL, 0, &arena, &coded), ERR_LIMIT);
        arena_reset(&arena);
    }
}

static void a_whole_batch_survives_and_a_changed_one_is_noticed(void **state)
{
    struct arena arena;
    struct coded_batch coded;
    struct plain_batch batch = sample_batch();
    struct plain_batch got = {.tick_ms = 77};
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(batch_code(&batch, 9, NULL, 0, &arena, &coded), 0);
    assert_int_equal(coded.number, 9);
    coded.tick_ms++;
    assert_int_equal(batch_plain(&coded, NULL, &arena, &got), ERR_CORRUPT);
    assert_int_equal(got.tick_ms, 77);
    coded.tick_ms--;
    assert_int_equal(batch_plain(&coded, NULL, &arena, &got), 0);
    assert_same_batch(&batch, &got);
    arena_reset(&arena);
}

static void a_batch_decoded_against_another_base_is_noticed(void **state)
{
    static const uint64_t refs[] = {1, 2};
    static const double first[] = {1, 2}, second[] = {1, 3}, third[] = {4, 4};
    const struct sample_columns base = {refs, first, 2}, wrong = {refs, third, 2};
    const struct plain_batch batch = {.definition_count = 3, .samples = {refs, second, 2}};
    struct arena arena;
    struct coded_batch coded;
    struct plain_batch got;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(batch_code(&batch, 9, &base, 8, &arena, &coded), 0);
    assert_int_equal(batch_plain(&coded, &wrong, &arena, &got), ERR_CORRUPT);
    assert_int_equal(batch_plain(&coded, NULL, &arena, &got), ERR_INVALID);
    assert_int_equal(batch_plain(&coded, &base, &arena, &got), 0);
    assert_same_batch(&batch, &got);
    arena_reset(&arena);
}

static void a_ref_without_a_definition_is_noticed(void **state)
{
    static const uint64_t refs[] = {1, 2};
    static const double values[] = {1, 2};
    const struct plain_batch batch = {.definition_count = 3, .samples = {refs, values, 2}};
    struct arena arena;
    struct coded_batch coded;
    struct plain_batch got;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(batch_code(&batch, 9, NULL, 0, &arena, &coded), 0);
    coded.definition_count = 2;
    assert_int_equal(batch_plain(&coded, NULL, &arena, &got), ERR_LIMIT);
    arena_reset(&arena);
}

static void running_out_of_memory_anywhere_is_survived(void **state)
{
    struct plain_batch batch = sample_batch();
    int failures = 0;
    (void)state;

    for (size_t limit = 0;; limit += 16) {
        struct arena arena;
        struct coded_batch coded;
        struct plain_batch got = {.tick_ms = 77};
        arena_init(&arena, limit);
        int error = batch_code(&batch, 1, NULL, 0, &arena, &coded);
        if (error == 0)
            error = batch_plain(&coded, NULL, &arena, &got);
        arena_reset(&arena);
        if (error == 0)
            break;
        assert_int_equal(error, ERR_NOMEM);
        assert_int_equal(got.tick_ms, 77);
        failures++;
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_survives_alone_and_against_every_other),
        cmocka_unit_test(random_values_and_random_bases_survive),
        cmocka_unit_test(an_unchanged_value_costs_a_bit_and_a_small_step_a_byte),
        cmocka_unit_test(a_base_without_a_common_ref_is_not_used),
        cmocka_unit_test(rubbish_is_refused),
        cmocka_unit_test(the_encoder_has_the_same_limits),
        cmocka_unit_test(a_whole_batch_survives_and_a_changed_one_is_noticed),
        cmocka_unit_test(a_batch_decoded_against_another_base_is_noticed),
        cmocka_unit_test(a_ref_without_a_definition_is_noticed),
        cmocka_unit_test(running_out_of_memory_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
