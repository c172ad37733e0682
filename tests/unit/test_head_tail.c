/*
 * test_head_tail.c - tails of series: whatever goes in comes back bit for bit.
 *
 * What can go wrong: a value that is kept as a decimal step from the first comes back as
 * another (a negative zero, a NaN's payload, what rounds, what is just too far); a column that
 * changes its form amid a run loses or doubles a value; an entry reaches into the next one, or
 * past the end; an insertion before the first changes all steps.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/store/store.h"
#include "collector/store/tail.h"

#define START_MS INT64_C(1700000000000)
#define STEP_MS  15000
#define KINDS    11

struct model {
    int64_t times_ms[TAIL_SAMPLES_MAX];
    double values[TAIL_SAMPLES_MAX];
    size_t count;
};

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

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

/* Values of a kind that columns are made of; `luck` now and then gives another kind. */
static double value_of(unsigned kind, uint64_t *random)
{
    static const double edges[] = {0.0,           -0.0,
                                   2147483647.0,  2147483648.0,
                                   -2147483648.0, -2147483649.0,
                                   4294967296.0,  1e300,
                                   -1e300,        9007199254740993.0,
                                   0.1,           4503599627370497.5,
                                   INFINITY,      -INFINITY,
                                   2147483646.5};
    const uint64_t luck = next(random);
    switch (kind) {
    case 0:
        return 1e9 + (double)(luck % 1000);
    case 1:
        return (double)(luck % 5) * 0.25 + 1e6;
    case 2:
        return (double)(luck % 100000) / 1000;
    case 3:
        return edges[luck % (sizeof edges / sizeof edges[0])];
    case 4:
        return of_bits(luck);
    case 5:
        return of_bits(UINT64_C(0x7FF0000000000001) + luck % 4);
    case 6:
        return luck % 2 == 0 ? 0.0 : -0.0;
    case 8: /* decimals, at first few */
        return (double)(921593 + (int64_t)(luck % 500)) / 100;
    case 9:
        return (double)(int64_t)(luck % 2000000) / 1e9 - 0.001;
    case 10: /* steps of all widths */
        return (luck % 2 == 0 ? 1.0 : -1.0) * (double)(luck >> (12 + luck % 52));
    default:
        return luck % 30 == 0 ? value_of((unsigned)(luck >> 32) % 7, random) : 42;
    }
}

static void assert_same(const struct tail *tail, const struct model *model)
{
    int64_t times_ms[TAIL_SAMPLES_MAX];
    double values[TAIL_SAMPLES_MAX];
    assert_int_equal(tail->count, model->count);
    tail_copy(tail, times_ms, values);
    for (size_t i = 0; i < model->count; i++) {
        assert_int_equal(times_ms[i], model->times_ms[i]);
        assert_int_equal(tail_time_at(tail, i), model->times_ms[i]);
        assert_int_equal(bits_of(values[i]), bits_of(model->values[i]));
        assert_int_equal(bits_of(tail_value_at(tail, i)), bits_of(model->values[i]));
    }
}

static void model_put(struct model *model, int64_t ts_ms, double value)
{
    size_t at = model->count;
    while (at > 0 && model->times_ms[at - 1] >= ts_ms)
        at--;
    if (at == model->count || model->times_ms[at] != ts_ms) {
        memmove(model->times_ms + at + 1, model->times_ms + at,
                (model->count - at) * sizeof model->times_ms[0]);
        memmove(model->values + at + 1, model->values + at,
                (model->count - at) * sizeof model->values[0]);
        model->count++;
    }
    model->times_ms[at] = ts_ms;
    model->values[at] = value;
}

static void append_run(struct tail *tail, struct model *model, unsigned kind, size_t count,
                       uint64_t *random)
{
    struct store_sample samples[TAIL_SAMPLES_MAX];
    int64_t ts_ms = model->count == 0 ? START_MS : model->times_ms[model->count - 1];
    for (size_t i = 0; i < count; i++) {
        ts_ms += STEP_MS;
        samples[i] = (struct store_sample){NULL, ts_ms, value_of(kind, random)};
    }
    for (size_t i = 0; i < count && model->count < TAIL_SAMPLES_MAX;) {
        size_t taken = tail_extend(tail, samples + i, count - i, INT64_MAX);
        if (taken == 0) {
            assert_int_equal(tail_append(tail, samples[i].ts_ms, samples[i].value), 0);
            taken = 1;
        }
        for (size_t j = 0; j < taken; j++, i++)
            model_put(model, samples[i].ts_ms, samples[i].value);
    }
}

static void insert_some(struct tail *tail, struct model *model, unsigned kind, size_t count,
                        uint64_t *random)
{
    for (size_t i = 0; i < count && model->count > 0; i++) {
        const int64_t span_ms =
            model->times_ms[model->count - 1] - model->times_ms[0] + 2 * (int64_t)STEP_MS;
        int64_t ts_ms = model->times_ms[0] - STEP_MS +
                        (int64_t)(next(random) % (uint64_t)span_ms) / 5000 * 5000;
        if (model->count == TAIL_SAMPLES_MAX)
            ts_ms = model->times_ms[next(random) % model->count];
        const double value = value_of(kind, random);
        enum tail_change change;
        assert_int_equal(tail_insert(tail, ts_ms, value, &change), 0);
        model_put(model, ts_ms, value);
    }
}

static void all_values_come_back_bit_for_bit(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15);
        struct model model = {.count = 0};
        struct tail tail = {0};
        unsigned kind = (unsigned)(seed % KINDS);
        while (model.count < TAIL_SAMPLES_MAX && next(&random) % 20 != 0) {
            if (next(&random) % 6 == 0)
                kind = (unsigned)(next(&random) % KINDS);
            append_run(&tail, &model, kind, 1 + next(&random) % 12, &random);
            if (next(&random) % 8 == 0)
                insert_some(&tail, &model, kind, 1 + next(&random) % 3, &random);
            assert_same(&tail, &model);
        }
        if (model.count == TAIL_SAMPLES_MAX) /* replacing needs no room */
            insert_some(&tail, &model, kind, 3, &random);
        assert_same(&tail, &model);
        tail_done(&tail);
    }
}

static size_t bytes_of_tail(double (*value)(int i))
{
    struct tail tail = {0};
    for (int i = 0; i < TAIL_SAMPLES_MAX; i++)
        assert_int_equal(tail_append(&tail, START_MS + (int64_t)i * STEP_MS, value(i)), 0);
    const size_t bytes = tail_bytes(&tail);
    tail_done(&tail);
    return bytes;
}

static double constant(int i)
{
    return i * 0.0 + 7.25;
}

static double counted(int i)
{
    return 5e12 + i * 997;
}

static double seconds_of_cpu(int i)
{
    return (921593 + i) / 100.0;
}

static double measured(int i)
{
    return sqrt(i + 2);
}

static void columns_are_as_narrow_as_their_steps(void **state)
{
    (void)state;
    assert_int_equal(bytes_of_tail(constant), 0);
    assert_in_range(bytes_of_tail(seconds_of_cpu), TAIL_SAMPLES_MAX, TAIL_SAMPLES_MAX + 7);
    assert_in_range(bytes_of_tail(counted), 3 * TAIL_SAMPLES_MAX, 3 * TAIL_SAMPLES_MAX + 7);
    assert_int_equal(bytes_of_tail(measured), 8 * TAIL_SAMPLES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_values_come_back_bit_for_bit),
        cmocka_unit_test(columns_are_as_narrow_as_their_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
