/*
 * test_codec.c - chunks: bit for bit, as small as they should be, and safe against rubbish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collector/store/codec/codec.h"
#include "proto/base/error.h"

#define START_MS INT64_C(1700000000000)

/* A small generator; the same sequence everywhere. */
static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 16;
}

static double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Encodes, describes, decodes, compares; returns the chunk's size. */
static size_t round_trip_with(const int64_t *times, const double *values, size_t count,
                              enum chunk_effort effort)
{
    static int64_t got_times[CHUNK_SAMPLES_MAX];
    static double got_values[CHUNK_SAMPLES_MAX];
    struct buf buf = {0};
    size_t got_count = 0;
    int64_t first = 0, last = 0;

    assert_int_equal(chunk_encode(times, values, count, effort, &buf), 0);
    assert_int_equal(chunk_describe(buf_bytes(&buf), &got_count, &first, &last), 0);
    assert_int_equal(got_count, count);
    assert_int_equal(first, times[0]);
    assert_int_equal(last, times[count - 1]);
    assert_int_equal(chunk_decode(buf_bytes(&buf), got_times, got_values, &got_count), 0);
    assert_int_equal(got_count, count);
    assert_memory_equal(got_times, times, count * sizeof *times);
    assert_memory_equal(got_values, values, count * sizeof *values);
    size_t size = buf.size;
    buf_done(&buf);
    return size;
}

/* With both efforts; the smaller size. */
static size_t round_trip(const int64_t *times, const double *values, size_t count)
{
    size_t quick = round_trip_with(times, values, count, CHUNK_QUICK);
    size_t small = round_trip_with(times, values, count, CHUNK_SMALL);
    assert_true(small <= quick);
    return small;
}

static const int64_t *regular_times(void)
{
    static int64_t times[CHUNK_SAMPLES_MAX];
    for (size_t i = 0; i < CHUNK_SAMPLES_MAX; i++)
        times[i] = START_MS + (int64_t)i * 5000;
    return times;
}

static double constant(size_t i, uint64_t *seed)
{
    (void)i;
    (void)seed;
    return 42.5;
}

static double constant_nan(size_t i, uint64_t *seed)
{
    (void)i;
    (void)seed;
    return value_of(0x7FF0000000000002);
}

static double counter(size_t i, uint64_t *seed)
{
    return (double)(UINT64_C(1000000007) + i * 1500 + next_random(seed) % 64);
}

static double pages(size_t i, uint64_t *seed)
{
    (void)i;
    return (double)(4096 * (1000000 + next_random(seed) % 256));
}

static double seconds(size_t i, uint64_t *seed)
{
    return (double)(INT64_C(123456789) + (int64_t)i * 97 + (int64_t)(next_random(seed) % 4)) /
           100;
}

static double rare(size_t i, uint64_t *seed)
{
    (void)seed;
    return (double)(i / 100);
}

static double irrational(size_t i, uint64_t *seed)
{
    (void)i;
    return 1.0 / (double)(3 + next_random(seed) % 1000000);
}

static double sometimes_stale(size_t i, uint64_t *seed)
{
    return i % 97 == 5 ? value_of(0x7FF0000000000002) : counter(i, seed);
}

static double any_bits(size_t i, uint64_t *seed)
{
    (void)i;
    return value_of(next_random(seed) << 17 ^ next_random(seed));
}

static double signs_of_zero(size_t i, uint64_t *seed)
{
    (void)i;
    return next_random(seed) % 2 == 0 ? 0.0 : -0.0;
}

static double extremes(size_t i, uint64_t *seed)
{
    static const uint64_t bits[] = {0x7FF0000000000000, 0xFFF0000000000000, 0x7FEFFFFFFFFFFFFF,
                                    0xFFEFFFFFFFFFFFFF, 0x0000000000000001, 0x8000000000000001,
                                    0x4340000000000000, 0xC340000000000000, 0x433FFFFFFFFFFFFF,
                                    0x3FB999999999999A, 0x0010000000000000, 0x7FF8000000000001};
    (void)i;
    return value_of(bits[next_random(seed) % 12]);
}

static const struct shape {
    const char *name;
    double (*value)(size_t i, uint64_t *seed);
    double bytes_max; /* a sample, of 1,200 */
} shapes[] = {
    {"constant", constant, 0.02},    {"constant NaN", constant_nan, 0.02},
    {"counter", counter, 1.05},      {"pages", pages, 1.05},
    {"seconds", seconds, 0.45},      {"rare change", rare, 0.03},
    {"irrational", irrational, 7.5}, {"stale markers", sometimes_stale, 1.45},
    {"any bits", any_bits, 8.2},     {"signs of zero", signs_of_zero, 0.5},
    {"extremes", extremes, 8.2},
};

static void every_shape_survives_at_every_length(void **state)
{
    static const size_t counts[] = {1,  2,   3,   4,   5,   7,   63,   64,   65,
                                    66, 127, 128, 129, 130, 480, 1000, 1200, CHUNK_SAMPLES_MAX};
    static double values[CHUNK_SAMPLES_MAX];
    (void)state;

    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            uint64_t seed = s * 100 + c;
            for (size_t i = 0; i < counts[c]; i++)
                values[i] = shapes[s].value(i, &seed);
            (void)round_trip(regular_times(), values, counts[c]);
        }
    }
}

static void every_shape_is_as_small_as_it_should_be(void **state)
{
    static double values[1200];
    (void)state;

    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        uint64_t seed = s;
        for (size_t i = 0; i < 1200; i++)
            values[i] = shapes[s].value(i, &seed);
        double size = (double)round_trip(regular_times(), values, 1200) / 1200;
        print_message("%-14s %.3f bytes a sample\n", shapes[s].name, size);
        assert_true(size <= shapes[s].bytes_max);
    }
}

static void irregular_times_survive(void **state)
{
    static double values[1000];
    int64_t times[1000];
    uint64_t seed = 7;
    (void)state;

    for (size_t i = 0; i < 1000; i++)
        times[i] = START_MS + (int64_t)i * 15000 + (int64_t)(next_random(&seed) % 20);
    double jitter = (double)round_trip(times, values, 1000) / 1000;
    assert_true(jitter < 0.9);
    for (size_t i = 0; i < 1000; i++)
        times[i] = START_MS + (int64_t)(i + i / 100) * 15000;
    double holes = (double)round_trip(times, values, 1000) / 1000;
    assert_true(holes < 0.2);
    int64_t now = -1000;
    for (size_t i = 0; i < 1000; i++)
        times[i] = now += 1 + (int64_t)(next_random(&seed) % 10000000000);
    (void)round_trip(times, values, 1000);
}

static void the_ends_of_time_survive(void **state)
{
    static const double values[4] = {1, 2, 3, 4};
    static const int64_t cases[][4] = {
        {INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX},
        {INT64_MIN, -1, 0, INT64_MAX},
        {-2, -1, 0, 1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t count = 1; count <= 4; count++)
            (void)round_trip(cases[i], values, count);
    }
}

static void random_mixtures_survive(void **state)
{
    static int64_t times[700];
    static double values[700];
    uint64_t seed = 3;
    (void)state;

    for (int round = 0; round < 2000; round++) {
        size_t count = 1 + next_random(&seed) % 700;
        uint64_t stay = next_random(&seed) % 16, time_kind = next_random(&seed) % 3;
        size_t shape = next_random(&seed) % (sizeof shapes / sizeof shapes[0]);
        int64_t now = (int64_t)(next_random(&seed) % 1000000);
        for (size_t i = 0; i < count; i++) {
            now += 1 + (int64_t)(time_kind == 0 ? 999 : next_random(&seed) % (time_kind * 50));
            times[i] = now;
            if (next_random(&seed) % 50 == 0)
                shape = next_random(&seed) % (sizeof shapes / sizeof shapes[0]);
            bool repeats = i > 0 && next_random(&seed) % 16 < stay;
            values[i] = repeats ? values[i - 1] : shapes[shape].value(i, &seed);
        }
        (void)round_trip(times, values, count);
    }
}

static void what_cannot_be_a_chunk_is_refused(void **state)
{
    static const int64_t back[] = {5, 4}, same[] = {5, 5};
    static const double values[] = {1, 2};
    struct buf buf = {0};
    (void)state;

    assert_int_equal(chunk_encode(back, values, 2, CHUNK_SMALL, &buf), ERR_INVALID);
    assert_int_equal(chunk_encode(same, values, 2, CHUNK_SMALL, &buf), ERR_INVALID);
    assert_int_equal(chunk_encode(back, values, 0, CHUNK_SMALL, &buf), ERR_INVALID);
    assert_int_equal(chunk_encode(back, values, CHUNK_SAMPLES_MAX + 1, CHUNK_SMALL, &buf), ERR_LIMIT);
    assert_int_equal(buf.size, 0);
    buf_init(&buf, 8);
    assert_int_equal(chunk_encode(regular_times(), values, 2, CHUNK_SMALL, &buf), ERR_NOMEM);
    buf_done(&buf);
}

/* Every prefix, and every single byte changed in some way: never more than the described count
 * is written, never a byte is read past the end (a sanitizer watches the copy). */
static void damaged_chunks_are_safe(void **state)
{
    static double values[300];
    (void)state;

    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct buf buf = {0};
        uint64_t seed = s;
        for (size_t i = 0; i < 300; i++)
            values[i] = shapes[s].value(i, &seed);
        assert_int_equal(chunk_encode(regular_times(), values, 300, CHUNK_SMALL, &buf), 0);
        for (size_t at = 0; at < 2 * buf.size; at++) {
            size_t size = at < buf.size ? at : buf.size;
            uint8_t *copy = malloc(size + 1);
            assert_non_null(copy);
            memcpy(copy, buf.data, size);
            if (at >= buf.size)
                copy[at - buf.size] ^= (uint8_t)(1 + next_random(&seed) % 255);
            size_t count;
            int64_t first, last;
            int error = chunk_describe((struct bytes){copy, size}, &count, &first, &last);
            if (error == 0) {
                int64_t *got_times = malloc(count * sizeof *got_times);
                double *got_values = malloc(count * sizeof *got_values);
                assert_true(got_times != NULL && got_values != NULL);
                error = chunk_decode((struct bytes){copy, size}, got_times, got_values, &count);
                free(got_times);
                free(got_values);
            }
            assert_true(error == 0 || error == ERR_MALFORMED);
            assert_true(error != 0 || at >= buf.size); /* a prefix is no chunk */
            free(copy);
        }
        buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_survives_at_every_length),
        cmocka_unit_test(every_shape_is_as_small_as_it_should_be),
        cmocka_unit_test(irregular_times_survive),
        cmocka_unit_test(the_ends_of_time_survive),
        cmocka_unit_test(random_mixtures_survive),
        cmocka_unit_test(what_cannot_be_a_chunk_is_refused),
        cmocka_unit_test(damaged_chunks_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
