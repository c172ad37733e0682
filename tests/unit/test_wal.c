/*
 * test_wal.c - what a commit stored comes back bit for bit, in whatever order it came; what an
 * older version wrote is still read; and a run of a series ends up in the head as the same
 * samples do one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collector/store/head.h"
#include "collector/store/wal.h"
#include "proto/base/error.h"

#define ARENA_BYTES ((size_t)16 << 20)
#define SERIES      40u
#define TICKS       30u
#define STEP_MS     15000
#define START_MS    INT64_C(1700006400000)
#define SPAN_MS     INT64_C(7200000)

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* xorshift64: the same numbers in every run. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Constants, counters, decimals, any bits, and the odd ones. */
static double value_of(unsigned series, unsigned tick, uint64_t *state)
{
    static const uint64_t odd[] = {0,
                                   UINT64_C(1) << 63,
                                   1,
                                   UINT64_C(0x7FF8000000000000),
                                   UINT64_C(0x7FF0000000000002),
                                   UINT64_C(0xFFF0000000000000),
                                   UINT64_MAX,
                                   UINT64_C(0x00FFFFFFFFFFFFFF)};
    switch (series % 5) {
    case 0:
        return 42;
    case 1:
        return 1e9 + 17.0 * tick;
    case 2:
        return (double)(next(state) % 100000) / 100;
    case 3:
        return of_bits(next(state));
    default:
        return of_bits(odd[next(state) % (sizeof odd / sizeof *odd)]);
    }
}

static void encode(const struct store_write *writes, size_t count, struct wal_encoder *encoder,
                   struct bytes *ret_record)
{
    wal_encoder_init(encoder);
    for (size_t i = 0; i < count; i++)
        wal_encoder_add(encoder, &writes[i]);
    assert_int_equal(wal_encoder_finish(encoder, ret_record), 0);
}

static void assert_same(const struct store_sample *samples, size_t count,
                        const struct wal_record *record, size_t from)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(record->ids[from + i], samples[i].series->id);
        assert_int_equal(record->times_ms[from + i], samples[i].ts_ms);
        assert_int_equal(bits_of(record->values[from + i]), bits_of(samples[i].value));
    }
}

/* Tick by tick, series by series, and anyhow; as one write, and as writes of odd sizes. */
static void samples_come_back_in_their_order(void **state)
{
    static struct series *series[SERIES];
    static struct store_sample samples[SERIES * TICKS];
    const size_t count = SERIES * TICKS;
    (void)state;

    for (unsigned i = 0; i < SERIES; i++) {
        series[i] = calloc(1, sizeof *series[i]);
        assert_non_null(series[i]);
        series[i]->id = i < SERIES / 2 ? i + 1 : UINT32_MAX - 3 * i;
    }
    for (unsigned order = 0; order < 3; order++) {
        uint64_t random = 88172645463325252;
        for (unsigned i = 0; i < count; i++) {
            unsigned s = order == 0 ? i % SERIES : i / TICKS;
            unsigned tick = order == 0 ? i / SERIES : i % TICKS;
            samples[i] = (struct store_sample){series[s], START_MS + (int64_t)tick * STEP_MS,
                                               value_of(s, tick, &random)};
            if (order == 2)
                samples[i].series = series[next(&random) % SERIES];
            if (order == 2)
                samples[i].ts_ms = (int64_t)next(&random);
        }
        for (size_t first = 0; first < 12; first += 11) {
            struct wal_encoder encoder;
            struct bytes bytes;
            struct wal_record record = {0};
            struct arena arena;
            const struct store_write writes[] = {
                {.samples = samples, .sample_count = first},
                {.samples = samples + first, .sample_count = count - first}};
            encode(writes, 2, &encoder, &bytes);
            arena_init(&arena, ARENA_BYTES);
            assert_int_equal(wal_decode(bytes, &arena, &record), 0);
            assert_int_equal(record.sample_count, count);
            assert_int_equal(record.log_count, 0);
            assert_same(samples, count, &record, 0);
            for (size_t cut = 0; cut < bytes.size; cut += 7)
                assert_int_not_equal(
                    wal_decode((struct bytes){bytes.data, cut}, &arena, &record), 0);
            arena_reset(&arena);
            wal_encoder_done(&encoder);
        }
    }
    for (unsigned i = 0; i < SERIES; i++)
        free(series[i]);
}

/* What never changes and comes on the beat costs half a byte a sample, and a few for the run.
 */
static void runs_are_short(void **state)
{
    static struct series series = {.id = 7};
    static struct store_sample samples[1000];
    struct wal_encoder encoder;
    struct bytes bytes;
    (void)state;

    for (int i = 0; i < 1000; i++)
        samples[i] = (struct store_sample){&series, START_MS + i * STEP_MS, 0.1};
    const struct store_write write = {.samples = samples, .sample_count = 1000};
    encode(&write, 1, &encoder, &bytes);
    assert_true(bytes.size < 1000 / 2 + 64);
    wal_encoder_done(&encoder);
}

static void the_version_before_is_read(void **state)
{
    /* Two samples: ids 5 and 6, times 10 and 8, values 1.0 and 2.0; no log lines. */
    static const uint8_t bytes[] = {1,    2,    10, 2, 20, 3, 0, 0, 0, 0,    0, 0,
                                    0xF0, 0x3F, 0,  0, 0,  0, 0, 0, 0, 0x40, 0};
    struct wal_record record = {0};
    struct arena arena;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(wal_decode((struct bytes){bytes, sizeof bytes}, &arena, &record), 0);
    assert_int_equal(record.sample_count, 2);
    assert_int_equal(record.ids[0], 5);
    assert_int_equal(record.ids[1], 6);
    assert_int_equal(record.times_ms[0], 10);
    assert_int_equal(record.times_ms[1], 8);
    assert_true(record.values[0] == 1.0 && record.values[1] == 2.0);
    arena_reset(&arena);
}

static void false_counts_and_runs_are_malformed(void **state)
{
    static const uint8_t count[] = {2, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0};
    static const uint8_t long_run[] = {2, 2, 2, 2, 0, 1, 0, 0}; /* three ids of two */
    struct wal_record record = {0};
    struct arena arena;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(wal_decode((struct bytes){count, sizeof count}, &arena, &record),
                     ERR_MALFORMED);
    assert_int_equal(wal_decode((struct bytes){long_run, sizeof long_run}, &arena, &record),
                     ERR_MALFORMED);
    arena_reset(&arena);
}

/* ---- the head ---------------------------------------------------------------------------- */

static void assert_same_tail(const struct tail *a, const struct tail *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(tail_time_at(a, i), tail_time_at(b, i));
        assert_int_equal(bits_of(tail_value_at(a, i)), bits_of(tail_value_at(b, i)));
    }
}

static void assert_same_series(const struct series *a, const struct series *b)
{
    const struct sealed *x = a->chunks, *y = b->chunks;
    assert_same_tail(&a->tail, &b->tail);
    assert_int_equal(a->late == NULL, b->late == NULL);
    if (a->late != NULL)
        assert_same_tail(a->late, b->late);
    for (; x != NULL && y != NULL; x = x->next, y = y->next) {
        assert_int_equal(x->count, y->count);
        assert_int_equal(x->first_ms, y->first_ms);
        assert_int_equal(x->bytes, y->bytes);
        assert_memory_equal(x->data, y->data, x->bytes);
    }
    assert_true(x == NULL && y == NULL);
    assert_int_equal(a->last_ms, b->last_ms);
    assert_int_equal(a->is_ended, b->is_ended);
    double of_a = 0, of_b = 0;
    assert_int_equal(series_last_value(a, &of_a), series_last_value(b, &of_b));
    assert_int_equal(bits_of(of_a), bits_of(of_b));
}

static void series_done(struct series *series)
{
    for (struct sealed *at = series->chunks, *next_chunk; at != NULL; at = next_chunk) {
        next_chunk = at->next;
        free(at);
    }
    tail_done(&series->tail);
    if (series->late != NULL)
        tail_done(series->late);
    free(series->late);
}

/* Runs of any length, mostly on the beat; sometimes off it, back in time, twice, or far ahead.
 */
static void a_run_is_what_its_samples_are(void **state)
{
    static struct store_sample samples[2000];
    (void)state;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15);
        struct head *by_run, *one_by_one;
        struct series a = {.last_ms = INT64_MIN}, b = {.last_ms = INT64_MIN};
        int64_t ts_ms = START_MS + (int64_t)(next(&random) % 7000) * 1000;
        const uint64_t kind = seed % 5;
        for (size_t i = 0; i < 2000; i++) {
            uint64_t luck = next(&random) % 400;
            ts_ms += luck == 0   ? -40000
                     : luck == 1 ? 0
                     : luck == 2 ? 7
                     : luck == 3 ? 90000000
                                 : 15000;
            samples[i] = (struct store_sample){
                NULL, ts_ms,
                kind == 0 && i % 300 != 299 ? 1
                                            : value_of((unsigned)kind, (unsigned)i, &random)};
        }
        assert_int_equal(head_open(SPAN_MS, 0, &by_run), 0);
        assert_int_equal(head_open(SPAN_MS, 0, &one_by_one), 0);
        for (size_t i = 0, n; i < 2000; i += n) {
            n = 1 + next(&random) % (seed % 2 == 0 ? 30 : 400);
            if (n > 2000 - i)
                n = 2000 - i;
            assert_int_equal(head_append_run(by_run, &a, samples + i, n, START_MS), 0);
            for (size_t k = 0; k < n; k++)
                assert_int_equal(head_append(one_by_one, &b, samples[i + k].ts_ms,
                                             samples[i + k].value, START_MS),
                                 0);
            assert_same_series(&a, &b);
        }
        assert_int_equal(by_run->stats.min_ms, one_by_one->stats.min_ms);
        assert_int_equal(by_run->stats.max_ms, one_by_one->stats.max_ms);
        series_done(&a);
        series_done(&b);
        head_close(by_run);
        head_close(one_by_one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back_in_their_order),
        cmocka_unit_test(runs_are_short),
        cmocka_unit_test(the_version_before_is_read),
        cmocka_unit_test(false_counts_and_runs_are_malformed),
        cmocka_unit_test(a_run_is_what_its_samples_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
