/*
 * test_joining.c - what files have of a question is joined to be kept (kept_run.h): the question that
 * pays for it must be answered as if it were not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/store/gather.h"
#include "collector/store/kept_run.h"
#include "collector/store/parts.h"
#include "collector/store/span_parts.h"
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define SERIES  3U

/* How many runs of decoded series are kept. */
static size_t count_kept(struct kit *kit)
{
    size_t count = 0;
    size_t bytes = 0;
    kept_runs_sum(span_set_runs(kit->store->spans), &count, &bytes);
    return count;
}

/* Selects all of m within so much memory; how many series that are, or an error below 0. */
static int select_within(struct kit *kit, size_t limit_bytes, int64_t from_ms, int64_t until_ms)
{
    struct queryable *queryable = store_queryable(kit->store);
    const struct select_hints hints = {.from_ms = from_ms, .until_ms = until_ms};
    struct query_budget budget = {.samples_left = UINT64_MAX};
    struct diagnosis why = {""};
    struct matcher *matcher;
    struct querier *querier;
    struct series_samples *series;
    struct arena arena;
    size_t count = 0;
    arena_init(&arena, limit_bytes);
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why), 0);
    assert_int_equal(queryable->calls->open(queryable, from_ms, until_ms, &querier, &why), 0);
    int error = queryable->calls->select(querier, &matcher, 1, &hints, &budget, &arena, &series,
                                         &count, &why);
    queryable->calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
    return error != 0 ? error : (int)count;
}

/* So that what is to be joined is too much to be kept. */
static void allow_runs(struct kit *kit, size_t limit_bytes)
{
    kept_runs_free(kit->store->spans->runs);
    assert_int_equal(kept_runs_new(limit_bytes, &kit->store->spans->runs), 0);
}

static void what_cannot_be_kept_is_answered_all_the_same(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    kit.now_ms = KIT_START_MS + 2 * SPAN_MS;
    for (unsigned n = 0; n < SERIES; n++)
        kit_run(&kit, &model, n, KIT_START_MS, KIT_START_MS + 2 * SPAN_MS, NAN);
    assert_int_equal(store_settle(kit.store), 0);
    for (size_t limit_bytes = 100; limit_bytes < 100000; limit_bytes *= 2) {
        allow_runs(&kit, limit_bytes);
        for (int i = 0; i < 3; i++)
            kit_expect(&kit, &model, ALWAYS);
    }
    model_done(&model);
    kit_stop(&kit);
}

#define DENSE_MS 100 /* from sample to sample: a file has many chunks of each series */

/* Written by minutes: a commit a sample would take as many syncs. */
static void start_dense(struct kit *kit)
{
    struct store_sample samples[60000 / DENSE_MS * SERIES];
    uint64_t noise = 1;
    kit_start(kit);
    kit->now_ms = KIT_START_MS + SPAN_MS;
    for (int64_t from = KIT_START_MS; from < KIT_START_MS + SPAN_MS; from += 60000) {
        size_t count = 0;
        for (int64_t at = from; at < from + 60000; at += DENSE_MS)
            for (unsigned n = 0; n < SERIES; n++) {
                noise = noise * 6364136223846793005U + 1442695040888963407U;
                samples[count++] =
                    (struct store_sample){kit_series(kit, n), at, (double)(noise >> 11)};
            }
        struct store_write write = {.samples = samples, .sample_count = count};
        assert_int_equal(store_write_wait(kit->store, &write), 0);
    }
    assert_int_equal(store_settle(kit->store), 0);
}

/* The first time a minute is asked for, and when all of the file would be joined. */
static void joining_takes_no_memory_that_a_question_needs(void **state)
{
    (void)state;
    const int64_t from_ms = KIT_START_MS + SPAN_MS / 2;
    struct kit kit;
    start_dense(&kit);
    for (int i = 0; i < 4; i++)
        assert_int_equal(select_within(&kit, (size_t)640 << 10, from_ms, from_ms + 60000), SERIES);
    assert_int_equal(count_kept(&kit), 0);
    kit_stop(&kit);
}

/* The pieces of the second question, the first one that is to be joined. */
static void what_is_not_joined_leaves_nothing_beside_the_interval(void **state)
{
    (void)state;
    const int64_t from_ms = KIT_START_MS + SPAN_MS / 2;
    const struct select_hints hints = {.from_ms = from_ms, .until_ms = from_ms + 60000};
    const size_t limits_bytes[] = {200, 50000, 4000000};
    struct matcher *matcher;
    struct diagnosis why;
    struct kit kit;
    start_dense(&kit);
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why), 0);
    for (size_t limit = 0; limit < 3; limit++) {
        allow_runs(&kit, limits_bytes[limit]);
        for (int i = 0; i < 2; i++) {
            struct arena arena;
            struct gather gather;
            arena_init(&arena, (size_t)64 << 20);
            assert_int_equal(gather_init(&gather, kit.store, &hints, NULL, &arena), 0);
            assert_int_equal(gather_history(&gather, &matcher, 1), 0);
            assert_int_equal(gather.count, SERIES);
            for (size_t k = 0; k < gather.count; k++) {
                assert_true(gather.items[k]->count > 0);
                for (size_t n = 0; n < gather.items[k]->count; n++)
                    assert_true(gather.items[k]->pieces[n].first_ms <= hints.until_ms &&
                                gather.items[k]->pieces[n].last_ms >= hints.from_ms);
            }
            gather_done(&gather);
            arena_reset(&arena);
        }
    }
    matcher_free(matcher);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_kept_is_answered_all_the_same),
        cmocka_unit_test(joining_takes_no_memory_that_a_question_needs),
        cmocka_unit_test(what_is_not_joined_leaves_nothing_beside_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
