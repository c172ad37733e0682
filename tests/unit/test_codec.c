/*
 * test_codec.c - chunks: bit for bit, as small as they should be, and safe against rubbish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collector/series/queryable.h"
#include "collector/store/codec/codec.h"
#include "collector/store/codec/codec_tokens.h"
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
    struct chunk_told told;
    assert_int_equal(chunk_decode_told(buf_bytes(&buf), true, got_times, got_values, &got_count,
                                       &told),
                     0);
    assert_int_equal(got_count, count);
    assert_memory_equal(got_times, times, count * sizeof *times);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(is_stale_nan(got_values[i]), is_stale_nan(values[i]));
        assert_false(told.is_plain && is_stale_nan(values[i]));
        if (i > 0 && told.interval_ms != 0)
            assert_int_equal(times[i] - times[i - 1], told.interval_ms);
    }
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
    uint64_t high = next_random(seed) << 17;
    return value_of(high ^ next_random(seed));
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

/* A kernel's milliseconds, as node_exporter makes seconds of them. */
static double milliseconds(size_t i, uint64_t *seed)
{
    return (double)(i * 37 + next_random(seed) % 16) * 0.001;
}

/* Microseconds, by way of milliseconds. */
static double pressure(size_t i, uint64_t *seed)
{
    return (double)(i * 3701 + next_random(seed) % 1024) / 1000.0 / 1000.0;
}

static double nanosecond_clock(size_t i, uint64_t *seed)
{
    return 1.7e9 + (double)i + (double)(next_random(seed) % 100000) / 1e9;
}

/* Small numbers are likelier than large ones, as durations are. */
static double log_uniform(size_t i, uint64_t *seed)
{
    (void)i;
    uint64_t bits = 4 + next_random(seed) % 16;
    return (double)(next_random(seed) % (UINT64_C(1) << bits)) / 1e9;
}

/* Bit patterns half the range apart: their differences wrap around. */
static double either_sign(size_t i, uint64_t *seed)
{
    (void)i;
    double sign = next_random(seed) % 2 == 0 ? 1.0 : -1.0;
    return sign / (double)(3 + next_random(seed) % 5);
}

static const struct shape {
    const char *name;
    double (*value)(size_t i, uint64_t *seed);
    double bytes_max; /* a sample, of 1,200 */
} shapes[] = {
    {"constant", constant, 0.02},    {"constant NaN", constant_nan, 0.02},
    {"counter", counter, 0.96},      {"pages", pages, 1.05},
    {"seconds", seconds, 0.45},      {"rare change", rare, 0.03},
    {"irrational", irrational, 7.0}, {"stale markers", sometimes_stale, 1.45},
    {"any bits", any_bits, 8.2},     {"signs of zero", signs_of_zero, 0.2},
    {"extremes", extremes, 7.0},     {"milliseconds", milliseconds, 0.65},
    {"pressure", pressure, 1.5},     {"nanosecond clock", nanosecond_clock, 1.4},
    {"log uniform", log_uniform, 1.8}, {"either sign", either_sign, 7.0},
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

/* FNV-1a: a fingerprint of bytes that must never change. */
static uint64_t fingerprint(struct bytes bytes)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ bytes.data[i]) * UINT64_C(1099511628211);
    return hash;
}

/* What is on disks already must be read for ever: written by the code that wrote format 1. */
static void format_1_is_still_read(void **state)
{
    static const struct {
        size_t size;
        uint8_t chunk[72];
        double values[6];
    } cases[] = {
        {16,
         {
           0x10, 0x06, 0x00, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0xa8, 0xc3, 0x01, 0x01,
           0x01, 0xd2, 0x06,
         },
         {42.5, 42.5, 42.5, 42.5, 42.5, 42.5}},
        {25,
         {
           0x10, 0x06, 0x00, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0xa8, 0xc3, 0x01, 0x03,
           0x23, 0xb4, 0x9e, 0x0c, 0x7d, 0x09, 0x14, 0x20, 0x8c, 0x20, 0x13, 0x1a,
         },
         {100.25, 101.5, 103.75, 103.75, 110, 90.125}},
        {22,
         {
           0x10, 0x06, 0x00, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0xa8, 0xc3, 0x01, 0x02,
           0x02, 0x04, 0x08, 0x03, 0x10, 0x0e, 0x01, 0x02, 0x02,
         },
         {7, 7, 7, 7, 7, 8}},
        {70,
         {
           0x10, 0x06, 0x01, 0x80, 0xa0, 0xab, 0xfe, 0xf9, 0x62, 0xc1, 0xc3, 0x01, 0x01,
           0x82, 0x92, 0x4e, 0x20, 0x64, 0x08, 0x05, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55,
           0xd5, 0x3f, 0x00, 0x7a, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x60, 0x70,
           0x1c, 0xc7, 0x71, 0x1c, 0xc7, 0x71, 0x02, 0x84, 0x5e, 0xe8, 0x85, 0x5e, 0xe8,
           0x3d, 0x96, 0x99, 0x99, 0x99, 0x99, 0x99, 0x19, 0x71, 0x4c, 0xf1, 0xff, 0x6e,
           0x78, 0x03, 0x39, 0x03, 0x10,
         },
         {1.0 / 3, 2.0 / 3, 1.0 / 7, 0.1, -0.0, 1e300}},
    };
    (void)state;

    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        int64_t times[6];
        double values[6];
        size_t count = 0;
        struct bytes chunk = {cases[c].chunk, cases[c].size};
        assert_int_equal(chunk_decode(chunk, times, values, &count), 0);
        assert_int_equal(count, 6);
        assert_memory_equal(values, cases[c].values, sizeof values);
        for (int64_t i = 0; i < 6; i++)
            assert_int_equal(times[i], START_MS + i * 5000 + (c == 3 ? i * i : 0));
    }
}

/* Change a fingerprint only together with the format's number: files of the old kind are about. */
static void formats_2_and_3_stay_as_they_are(void **state)
{
    static const struct {
        const char *shape;
        uint64_t quick, small;
    } cases[] = {
        {"constant", UINT64_C(0xf0cb1dd4f3791abe), UINT64_C(0xf0cb1dd4f3791abe)},
        {"constant NaN", UINT64_C(0xe2dcc00d09e9e99b), UINT64_C(0xe2dcc00d09e9e99b)},
        {"counter", UINT64_C(0x8ba1b81148ff5d84), UINT64_C(0x8ba1b81148ff5d84)},
        {"pages", UINT64_C(0xf4e40452cabb8cfa), UINT64_C(0xf4e40452cabb8cfa)},
        {"seconds", UINT64_C(0xabcd60e62de80a76), UINT64_C(0xabcd60e62de80a76)},
        {"rare change", UINT64_C(0x846bd7ddaf469551), UINT64_C(0x846bd7ddaf469551)},
        {"irrational", UINT64_C(0x0bc02e58312843c2), UINT64_C(0x613c25f45256800f)},
        {"stale markers", UINT64_C(0xd0d95b1d194a26bf), UINT64_C(0xd0d95b1d194a26bf)},
        {"any bits", UINT64_C(0x3dbcea01b2b5ab97), UINT64_C(0x3dbcea01b2b5ab97)},
        {"signs of zero", UINT64_C(0xc8af2686b5b7f90b), UINT64_C(0x2e0e01daf7d1c395)},
        {"extremes", UINT64_C(0x7755438d4d1ada88), UINT64_C(0x1da4d490b53a3050)},
        {"milliseconds", UINT64_C(0x1b0a01843a439ad7), UINT64_C(0xa73c75cbfd63f839)},
        {"pressure", UINT64_C(0x162e78430ae52a69), UINT64_C(0x162e78430ae52a69)},
        {"nanosecond clock", UINT64_C(0xd84c09b8dc3e1475), UINT64_C(0x4fad4fad9206de36)},
        {"log uniform", UINT64_C(0x483def23bdb8759a), UINT64_C(0x521866a6a5101bde)},
        {"either sign", UINT64_C(0xfbd8e0a639617120), UINT64_C(0x91b933b85b529b8e)},
    };
    static double values[1200];
    (void)state;

    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        uint64_t seed = s;
        for (size_t i = 0; i < 1200; i++)
            values[i] = shapes[s].value(i, &seed);
        assert_string_equal(cases[s].shape, shapes[s].name);
        for (int effort = CHUNK_QUICK; effort <= CHUNK_SMALL; effort++) {
            struct buf buf = {0};
            assert_int_equal(chunk_encode(regular_times(), values, 1200,
                                          (enum chunk_effort)effort, &buf),
                             0);
            uint64_t expected = effort == CHUNK_QUICK ? cases[s].quick : cases[s].small;
            if (fingerprint(buf_bytes(&buf)) != expected)
                fail_msg("%s, effort %d: 0x%016llx", shapes[s].name, effort,
                         (unsigned long long)fingerprint(buf_bytes(&buf)));
            buf_done(&buf);
        }
    }
}

/* Any integers, not only those that a chunk would code so. */
static void tokens_survive_at_every_length(void **state)
{
    static uint64_t values[CHUNK_SAMPLES_MAX], got[CHUNK_SAMPLES_MAX];
    static struct tokens_reader run;
    size_t with_literals = 0;
    uint64_t seed = 11;
    (void)state;

    for (size_t round = 0; round < 3000; round++) {
        size_t count = 1 + next_random(&seed) % (round % 50 == 0 ? CHUNK_SAMPLES_MAX : 300);
        unsigned bits = (unsigned)(1 + next_random(&seed) % 64);
        struct tokens_plan plan;
        struct buf buf = {0};
        for (size_t i = 0; i < count; i++) {
            uint64_t value = next_random(&seed) << 32 ^ next_random(&seed) << 8;
            unsigned drop = next_random(&seed) % 3 == 0 ? 63 : 64 - bits;
            values[i] = round % 7 == 0 ? 5 : (uint64_t)((int64_t)value >> drop);
            if (round % 3 == 0 && i > 0 && next_random(&seed) % 4 != 0)
                values[i] = values[next_random(&seed) % i]; /* comes again */
        }
        assert_true(tokens_plan(values, count, true, &plan));
        with_literals += plan.literal_count > 0;
        tokens_put(&buf, values, count, &plan);
        assert_true(buf_ok(&buf));
        struct reader reader = reader_of(buf_bytes(&buf));
        assert_true(tokens_open(&reader, plan.literal_count > 0, &run));
        size_t half = count / 2 / 2 * 2;
        tokens_get(&run, got, half);
        tokens_get(&run, got + half, count - half);
        assert_true(tokens_end(&run));
        assert_memory_equal(got, values, count * sizeof *values);
        assert_true((double)buf.size * 8 <= plan.bits * 1.1 + 400);
        buf_done(&buf);
    }
    assert_true(with_literals > 100);
}

/* Seconds, added up in floating point from whole multiples of a step that is no decimal. */
static void fill_added_up(double *values, size_t count)
{
    uint64_t seed = 5;
    double sum = 20000.0 / 7;
    for (size_t i = 0; i < count; i++)
        values[i] = sum += (double)(next_random(&seed) % 40) / 7e4;
}

static void literals_are_as_small_as_they_should_be(void **state)
{
    static double values[4096];
    struct buf buf = {0};
    (void)state;

    fill_added_up(values, 4096);
    size_t small = round_trip_with(regular_times(), values, 4096, CHUNK_SMALL);
    size_t quick = round_trip_with(regular_times(), values, 4096, CHUNK_QUICK);
    /* Its 40 steps, some of them told apart by rounding, are 5.3 to 7 bits. */
    assert_true(small < 4096 && quick > 4 * 4096);
    assert_int_equal(chunk_encode(regular_times(), values, 4096, CHUNK_SMALL, &buf), 0);
    assert_int_equal(buf.data[0], 0x30);
    buf_done(&buf);
    assert_int_equal(chunk_encode(regular_times(), values, 4096, CHUNK_QUICK, &buf), 0);
    assert_int_equal(buf.data[0], 0x20);
    buf_done(&buf);
}

/* As above. */
static void added_up_seconds_stay_as_they_are(void **state)
{
    static double values[1200];
    struct buf buf = {0};
    (void)state;

    fill_added_up(values, 1200);
    assert_int_equal(chunk_encode(regular_times(), values, 1200, CHUNK_SMALL, &buf), 0);
    if (fingerprint(buf_bytes(&buf)) != UINT64_C(0xf78ac73a3fc4ad4c))
        fail_msg("0x%016llx", (unsigned long long)fingerprint(buf_bytes(&buf)));
    buf_done(&buf);
}

/* Every bit of the head and the table is turned over once: refused, or some values. */
static void damaged_literals_are_safe(void **state)
{
    static double values[1200], got[CHUNK_SAMPLES_MAX];
    static int64_t got_times[CHUNK_SAMPLES_MAX];
    struct buf buf = {0};
    size_t refused = 0, got_count;
    (void)state;

    fill_added_up(values, 1200);
    assert_int_equal(chunk_encode(regular_times(), values, 1200, CHUNK_SMALL, &buf), 0);
    for (size_t size = 0; size < buf.size; size++)
        assert_int_equal(chunk_decode((struct bytes){buf.data, size}, got_times, got, &got_count),
                         ERR_MALFORMED);
    for (size_t bit = 0; bit < 8 * 400; bit++) {
        buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refused += chunk_decode(buf_bytes(&buf), got_times, got, &got_count) != 0;
        buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > 0);
    buf_done(&buf);
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
        cmocka_unit_test(format_1_is_still_read),
        cmocka_unit_test(formats_2_and_3_stay_as_they_are),
        cmocka_unit_test(tokens_survive_at_every_length),
        cmocka_unit_test(literals_are_as_small_as_they_should_be),
        cmocka_unit_test(added_up_seconds_stay_as_they_are),
        cmocka_unit_test(damaged_literals_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
