/*
 * test_trouble.c - a disk that is full, a map that is full, a disk whose syncs take their time: a
 * store that says so, keeps what it has, goes on answering, and goes on by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/fault/io_world.h"
#include "tests/unit/care_kit.h"

#define BATCH     4000
#define TRIES     600 /* of 50 ms: the store looks at the disk every second */
#define MAP_BYTES ((uint64_t)24 << 20)

/* A write of many samples, that cost room; the model takes it if it was acknowledged. */
static int write_batch(struct kit *kit, int64_t *at_ms)
{
    struct store_sample *samples = calloc(BATCH, sizeof *samples);
    must(samples != NULL);
    for (int i = 0; i < BATCH; i++) {
        double noise = (double)((uint64_t)(*at_ms + i) * UINT64_C(0x9e3779b97f4a7c15) >> 11);
        samples[i] = (struct store_sample){kit_series(kit, 1), *at_ms + i, noise};
    }
    struct store_write write = {.samples = samples, .sample_count = BATCH};
    int error = store_write_wait(kit->store, &write);
    free(samples);
    if (error == 0)
        *at_ms += BATCH;
    return error;
}

static size_t count_samples(struct kit *kit)
{
    struct query_budget budget = {.samples_left = UINT64_MAX};
    struct select_hints hints = {.from_ms = INT64_MIN / 2, .until_ms = INT64_MAX / 2};
    struct queryable *queryable = store_queryable(kit->store);
    struct diagnosis why = {""};
    struct matcher *matcher;
    struct querier *querier;
    struct series_samples *series;
    struct arena arena;
    size_t count;
    size_t sum = 0;
    arena_init(&arena, (size_t)1 << 30);
    must(matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why) == 0);
    must(queryable->calls->open(queryable, hints.from_ms, hints.until_ms, &querier, &why) == 0);
    must(queryable->calls->select(querier, &matcher, 1, &hints, &budget, &arena, &series, &count,
                                  &why) == 0);
    for (size_t i = 0; i < count; i++)
        sum += series[i].count;
    queryable->calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
    return sum;
}

static void expect_all_after_a_restart(struct kit *kit, size_t expected)
{
    kit_close(kit);
    struct told told = care_verify(kit->directory, NULL);
    if (told.count > 0)
        fail_msg("%s: %s", told.file, told.what);
    kit_open(kit);
    assert_int_equal(count_samples(kit), expected);
    kit_stop(kit);
}

static void without_room_writes_are_refused_and_come_back_by_themselves(void **state)
{
    (void)state;
    struct kit kit;
    struct store_stats stats;
    int64_t at_ms = KIT_START_MS;
    int error = 0;
    kit_start(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int i = 0; i < 20; i++)
        assert_int_equal(write_batch(&kit, &at_ms), 0);
    assert_int_equal(store_settle(kit.store), 0);
    io_world_watch(kit.directory);
    io_world_room((uint64_t)4 << 20);
    for (int i = 0; i < 100000 && error == 0; i++)
        error = write_batch(&kit, &at_ms);
    assert_int_equal(error, ERR_FULL);
    store_get_stats(kit.store, &stats);
    assert_true(stats.full);
    assert_non_null(strstr(stats.full_reason, "No space"));
    size_t acknowledged = (size_t)(at_ms - KIT_START_MS);
    assert_int_equal(count_samples(&kit), acknowledged);
    /* History cannot be written either, and nothing of it is lost by trying. */
    (void)store_settle(kit.store);
    assert_int_equal(count_samples(&kit), acknowledged);
    io_world_room(UINT64_MAX);
    for (int i = 0; i < TRIES && (error = write_batch(&kit, &at_ms)) != 0; i++)
        usleep(50000);
    assert_int_equal(error, 0);
    store_get_stats(kit.store, &stats);
    assert_false(stats.full);
    assert_int_equal(store_settle(kit.store), 0);
    expect_all_after_a_restart(&kit, (size_t)(at_ms - KIT_START_MS));
}

static void fill_with_state(struct kit *kit, uint64_t bytes)
{
    static char blob[128 << 10];
    memset(blob, 'x', sizeof blob - 1);
    for (unsigned i = 0; i < bytes / sizeof blob; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "notify/%u", i);
        must(kit_put(kit, key, blob) == 0);
    }
}

/* The map is as large as live may ever be.  The last part of it is left free, for the checkpoint
 * and the deletions that make room. */
static void a_full_map_refuses_writes_until_history_has_them(void **state)
{
    (void)state;
    struct kit kit;
    struct store_stats stats;
    int64_t at_ms = KIT_START_MS;
    kit_start(&kit);
    kit_close(&kit);
    kit.options.live_bytes_max = MAP_BYTES;
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    kit_open(&kit);
    fill_with_state(&kit, MAP_BYTES * 3 / 4);
    for (int round = 0; round < 3; round++) {
        int error = 0;
        for (int i = 0; i < 100000 && error == 0; i++)
            error = write_batch(&kit, &at_ms);
        assert_int_equal(error, ERR_FULL);
        store_get_stats(kit.store, &stats);
        assert_true(stats.full);
        assert_non_null(strstr(stats.full_reason, "may grow to"));
        assert_int_equal(count_samples(&kit), at_ms - KIT_START_MS);
        assert_int_equal(store_settle(kit.store), 0);
        for (int i = 0; i < TRIES && (error = write_batch(&kit, &at_ms)) != 0; i++)
            usleep(50000);
        assert_int_equal(error, 0);
    }
    expect_all_after_a_restart(&kit, (size_t)(at_ms - KIT_START_MS));
}

struct slow {
    struct store_write write;
    _Atomic bool is_done;
};

static void note_done(struct store_write *write, int error)
{
    must(error == 0);
    ((struct slow *)write->context)->is_done = true;
}

/* A query in the midst of a commit that takes long is answered before the commit is. */
static void while_a_sync_takes_long_queries_are_answered(void **state)
{
    (void)state;
    struct kit kit;
    unsigned before = 0;
    kit_start(&kit);
    io_world_watch(kit.directory);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS, 1), 0);
    io_world_slow(1000);
    for (int i = 1; i <= 3; i++) {
        struct store_sample sample = {kit_series(&kit, 1), KIT_START_MS + i, i};
        struct slow slow = {.write = {.samples = &sample, .sample_count = 1,
                                      .done = note_done, .context = NULL}};
        slow.write.context = &slow;
        assert_int_equal(store_write_submit(kit.store, &slow.write), 0);
        size_t found = count_samples(&kit);
        bool was_done = slow.is_done;
        before += !was_done;
        /* Never half: it is not seen before it is durable. */
        assert_true(found == (size_t)i || (was_done && found == (size_t)i + 1));
        while (!slow.is_done)
            usleep(1000);
        assert_int_equal(count_samples(&kit), i + 1);
    }
    assert_true(before >= 2); /* a sync takes a second, a query of one series never does */
    io_world_slow(0);
    struct store_stats stats;
    store_get_stats(kit.store, &stats);
    assert_true(stats.commit_seconds_sum >= 3.0);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_writes_are_refused_and_come_back_by_themselves),
        cmocka_unit_test(a_full_map_refuses_writes_until_history_has_them),
        cmocka_unit_test(while_a_sync_takes_long_queries_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
