/*
 * test_records.c - samples into records of buckets, records into chunks and back.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/store/records.h"
#include "proto/base/error.h"

static double stale(void)
{
    uint64_t bits = STALE_NAN_BITS;
    double value;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

#define T(minutes) ((int64_t)(minutes)*60000)

static void a_bucket_ends_with_its_end(void **state)
{
    (void)state;
    const int64_t times[] = {T(0), T(1), T(5), T(6), T(10), T(11)};
    const double values[] = {1, 5, 2, 8, 3, (double)NAN};
    struct records records;
    records_init(&records);
    assert_int_equal(records_roll(&records, T(5), times, values, 6), 0);
    assert_int_equal(records.count, 4); /* (-5, 0] (0, 5] (5, 10] (10, 15] */
    assert_int_equal(records.firsts_ms[1], T(1));
    assert_int_equal(records.lasts_ms[1], T(5));
    assert_true(records.columns[ROLLED_FALLEN][1] == 5 &&
                records.columns[ROLLED_RESETS][1] == 1);
    assert_true(records.columns[ROLLED_SUM][2] == 11 && records.columns[ROLLED_MAX][2] == 8);
    assert_true(isnan(records.columns[ROLLED_MIN][3]));
    assert_int_equal(bucket_end(-T(7), T(5)), -T(5));
    assert_int_equal(bucket_end(-T(5), T(5)), -T(5));
    records_done(&records);
}

static void records_count_what_they_take(void **state)
{
    (void)state;
    struct arena_total total = {.limit_bytes = 1 << 20};
    struct records records;
    int error = 0;
    records_init(&records);
    records.share.total = &total;
    while (error == 0 && records.count < (1 << 20) / sizeof(double)) {
        error = records_add_sample(&records, (int64_t)records.count, 1);
        assert_true(total.held_bytes >= records.count * (3 + ROLLED_COLUMNS) * sizeof(double));
    }
    assert_int_equal(error, ERR_LIMIT);
    assert_true(records.share.total_refused);
    assert_true(records.count > 4000);
    records_done(&records);
    assert_int_equal(total.held_bytes, 0);
}

static void a_marker_at_the_end_of_a_bucket_is_a_record_of_its_own(void **state)
{
    (void)state;
    const int64_t times[] = {T(1), T(2), T(3), T(4), T(7), T(12)};
    const double values[] = {1, stale(), 2, stale(), stale(), 4};
    struct records records;
    records_init(&records);
    assert_int_equal(records_roll(&records, T(5), times, values, 6), 0);
    assert_int_equal(records.count, 4);
    assert_true(records.columns[ROLLED_SAMPLES][0] == 2 && records.lasts_ms[0] == T(3));
    assert_true(is_stale_nan(records.lasts[1]) && records.columns[ROLLED_SAMPLES][1] == 0);
    assert_true(is_stale_nan(records.lasts[2]) && records.lasts_ms[2] == T(7));
    assert_true(records.lasts[3] == 4);
    records_done(&records);
}

/* The entry as span_write.c makes it. */
static void make_entry(const struct records *records, struct buf *entry)
{
    struct buf sizes = {0};
    struct buf chunks = {0};
    size_t count;
    assert_int_equal(records_write(records, &sizes, &chunks, &count), 0);
    buf_put_varint(entry, count);
    buf_put(entry, sizes.data, sizes.size);
    buf_put(entry, chunks.data, chunks.size);
    buf_done(&sizes);
    buf_done(&chunks);
}

static void records_read_back_as_they_were_and_damage_is_noticed(void **state)
{
    (void)state;
    struct records from;
    struct records to;
    struct buf entry = {0};
    unsigned seed = 4;
    records_init(&from);
    records_init(&to);
    for (int64_t i = 0; i < 3 * RECORDS_RUN / 2; i++) {
        int64_t times[] = {i * T(5) + rand_r(&seed) % 1000, i * T(5) + 2000};
        double values[] = {rand_r(&seed) % 100 / 7.0, i % 50 == 0 ? stale() : (double)i};
        assert_int_equal(records_roll(&from, T(5), times, values, 2), 0);
    }
    make_entry(&from, &entry);
    assert_int_equal(records_read(&to, buf_bytes(&entry)), 0);
    assert_int_equal(to.count, from.count);
    assert_memory_equal(to.lasts_ms, from.lasts_ms, from.count * 8);
    assert_memory_equal(to.firsts_ms, from.firsts_ms, from.count * 8);
    assert_memory_equal(to.lasts, from.lasts, from.count * 8);
    for (size_t c = 0; c < ROLLED_COLUMNS; c++)
        assert_memory_equal(to.columns[c], from.columns[c], from.count * 8);
    for (size_t cut = 0; cut < entry.size; cut += 1 + entry.size / 200) {
        to.count = 0;
        if (records_read(&to, (struct bytes){entry.data, cut}) == 0)
            fail_msg("an entry cut at %zu is read", cut);
        assert_int_equal(to.count, 0);
    }
    buf_done(&entry);
    records_done(&from);
    records_done(&to);
}

static void what_comes_late_fills_only_buckets_that_are_empty(void **state)
{
    (void)state;
    const int64_t base_times[] = {T(1), T(11)};
    const int64_t late_times[] = {T(2), T(7), T(13), T(31)};
    const double values[] = {1, 2, 3, 4};
    struct records base;
    struct records late;
    struct records whole;
    uint64_t dropped = 0;
    records_init(&base);
    records_init(&late);
    records_init(&whole);
    assert_int_equal(records_roll(&base, T(5), base_times, values, 2), 0);
    assert_int_equal(records_roll(&late, T(5), late_times, values, 4), 0);
    assert_int_equal(records_fill(&whole, T(5), &base, &late, &dropped), 0);
    assert_int_equal(dropped, 2);
    assert_int_equal(whole.count, 4);
    assert_int_equal(whole.lasts_ms[0], T(1));
    assert_int_equal(whole.lasts_ms[1], T(7));
    assert_int_equal(whole.lasts_ms[2], T(11));
    assert_int_equal(whole.lasts_ms[3], T(31));
    records_done(&base);
    records_done(&late);
    records_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_ends_with_its_end),
        cmocka_unit_test(records_count_what_they_take),
        cmocka_unit_test(a_marker_at_the_end_of_a_bucket_is_a_record_of_its_own),
        cmocka_unit_test(records_read_back_as_they_were_and_damage_is_noticed),
        cmocka_unit_test(what_comes_late_fills_only_buckets_that_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
