/*
 * test_history.c - samples and lines on their way through history: flushed, late, merged,
 * expired, damaged.  A query must not be able to tell.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)

static void write_random(struct kit *kit, struct model *model, unsigned *seed, int count,
                         int64_t from_ms, int64_t until_ms)
{
    for (int i = 0; i < count; i++) {
        unsigned n = (unsigned)rand_r(seed) % 5;
        int64_t ts = from_ms + rand_r(seed) % ((until_ms - from_ms) / 1000) * 1000;
        double value = rand_r(seed) % 7;
        assert_int_equal(kit_write(kit, n, ts, value), 0);
        model_write(model, n, ts, value);
    }
}

static struct store_stats stats_of(struct kit *kit)
{
    struct store_stats stats;
    store_get_stats(kit->store, &stats);
    return stats;
}

static void what_is_settled_reads_the_same(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    unsigned seed = 3;
    kit_start(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    write_random(&kit, &model, &seed, 1500, KIT_START_MS, KIT_START_MS + 3 * SPAN_MS);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).head_chunks, 0);
    assert_int_equal(stats_of(&kit).spans, 3);
    kit_expect(&kit, &model, ALWAYS);
    kit_expect(&kit, &model, KIT_START_MS + SPAN_MS / 2, KIT_START_MS + SPAN_MS + 5000);
    kit_close(&kit);
    kit_open(&kit);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void late_samples_win_over_history_and_are_merged_into_it(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    unsigned seed = 5;
    kit_start(&kit);
    kit.now_ms = KIT_START_MS + 2 * SPAN_MS;
    for (int round = 0; round < 5; round++) {
        write_random(&kit, &model, &seed, 300, KIT_START_MS, KIT_START_MS + 2 * SPAN_MS);
        kit_expect(&kit, &model, ALWAYS);
        assert_int_equal(store_settle(kit.store), 0);
        assert_int_equal(stats_of(&kit).spans, 2);
        kit_expect(&kit, &model, ALWAYS);
        if (round == 2) {
            kit_close(&kit);
            kit_open(&kit);
        }
    }
    model_done(&model);
    kit_stop(&kit);
}

static void the_spans_of_a_past_day_become_one_file(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    unsigned seed = 9;
    kit_start(&kit);
    int64_t day = KIT_START_MS - KIT_START_MS % (12 * SPAN_MS);
    write_random(&kit, &model, &seed, 1000, day, day + 12 * SPAN_MS);
    kit.now_ms = day + 12 * SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 12);
    kit_expect(&kit, &model, ALWAYS);
    kit.now_ms += SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    kit_expect(&kit, &model, ALWAYS);
    write_random(&kit, &model, &seed, 100, day, day + 12 * SPAN_MS);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

/* A day's file, a newer one of one of its spans that was written while the clock was back, and one
 * more of the day: these two must not become one that wins over the one between. */
static void the_last_write_wins_when_the_clock_has_gone_back(void **state)
{
    (void)state;
    const int64_t then_ms = KIT_START_MS + 3 * 12 * SPAN_MS;
    const int64_t back_ms = KIT_START_MS + 3 * SPAN_MS;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    kit.now_ms = then_ms;
    for (unsigned n = 0; n < 2; n++)
        kit_run(&kit, &model, n, KIT_START_MS, KIT_START_MS + SPAN_MS, 1);
    assert_int_equal(store_settle(kit.store), 0);
    kit.now_ms = back_ms;
    kit_run(&kit, &model, 0, KIT_START_MS, KIT_START_MS + SPAN_MS / 2, 2);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 2);
    kit_run(&kit, &model, 1, KIT_START_MS, KIT_START_MS + SPAN_MS / 2, 3);
    kit_close(&kit);
    kit.now_ms = then_ms;
    kit_open(&kit); /* flushes by itself, and three files are too few to be merged */
    while (stats_of(&kit).spans < 3)
        usleep(1000);
    kit_expect(&kit, &model, ALWAYS);
    kit.now_ms = back_ms;
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    kit.now_ms = then_ms;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

/* Asked for, it does not wait for the day to pass; and what comes later finds its way. */
static void a_day_that_goes_on_becomes_one_file_when_asked(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    unsigned seed = 11;
    kit_start(&kit);
    int64_t day = KIT_START_MS - KIT_START_MS % (12 * SPAN_MS);
    write_random(&kit, &model, &seed, 600, day, day + 8 * SPAN_MS);
    kit.now_ms = day + 8 * SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 8);
    assert_int_equal(store_settle_days(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    kit_expect(&kit, &model, ALWAYS);
    /* Late for the first span, which stays beside; and two spans that follow. */
    write_random(&kit, &model, &seed, 100, day, day + SPAN_MS);
    write_random(&kit, &model, &seed, 100, day + 8 * SPAN_MS, day + 10 * SPAN_MS);
    kit.now_ms = day + 10 * SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 4);
    kit_expect(&kit, &model, ALWAYS);
    kit_close(&kit);
    kit_open(&kit);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle_days(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    kit_expect(&kit, &model, ALWAYS);
    write_random(&kit, &model, &seed, 100, day + 10 * SPAN_MS, day + 12 * SPAN_MS);
    kit.now_ms = day + 13 * SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void what_is_older_than_retention_goes(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    kit_close(&kit);
    kit.options.retention_raw_ms = 4 * SPAN_MS;
    kit_open(&kit);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS, 1), 0);
    assert_int_equal(store_settle(kit.store), 0);
    kit.now_ms = KIT_START_MS + 4 * SPAN_MS;
    assert_int_equal(kit_write(&kit, 1, kit.now_ms, 2), 0);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 2);
    kit.now_ms += 1;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    model_write(&model, 1, KIT_START_MS + 4 * SPAN_MS, 2);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS, 3), 0); /* too old to be kept */
    assert_int_equal(stats_of(&kit).samples_refused, 1);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void an_idle_series_leaves_memory_and_comes_back_under_its_id(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    assert_int_equal(kit_write(&kit, 7, KIT_START_MS, 1), 0);
    model_write(&model, 7, KIT_START_MS, 1);
    uint64_t id = store_series_id(kit_series(&kit, 7));
    store_series_release(kit.store, kit.series[7]);
    kit.series[7] = NULL;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).series_active, 1);
    kit.now_ms += 2 * SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).series_active, 0);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "n", "7", ALWAYS), 1);
    assert_int_equal(store_series_id(kit_series(&kit, 7)), id);
    kit_stop(&kit);
    model_done(&model);
}

static void a_series_that_came_with_old_times_does_not_stay_for_a_span(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    kit.now_ms = KIT_START_MS + 5 * SPAN_MS;
    for (unsigned n = 1; n <= 2; n++) {
        const int64_t ts_ms = KIT_START_MS + (n == 1 ? 0 : 5 * SPAN_MS);
        assert_int_equal(kit_write(&kit, n, ts_ms, n), 0);
        model_write(&model, n, ts_ms, n);
        store_series_release(kit.store, kit.series[n]);
        kit.series[n] = NULL;
    }
    assert_int_equal(stats_of(&kit).series_active, 2);
    kit.now_ms += 1;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).series_active, 1); /* of now */
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "n", "1", ALWAYS), 1);
    kit_stop(&kit);
    model_done(&model);
}

/* -- damage ------------------------------------------------------------------------------ */

static void file_in_history(const struct kit *kit, char path[256])
{
    char folder[128];
    (void)snprintf(folder, sizeof folder, "%s/history", kit->directory);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    path[0] = '\0';
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strstr(entry->d_name, ".mdb") != NULL)
            (void)snprintf(path, 256, "%s/%.100s", folder, entry->d_name);
    (void)closedir(dir);
    assert_true(path[0] != '\0');
}

/* Values that do not compress, so that the file has large ones. */
static double noise(unsigned n, int i)
{
    unsigned seed = n * 1000 + (unsigned)i;
    return (double)rand_r(&seed) / 7 * (double)rand_r(&seed);
}

static void a_damaged_byte_is_never_returned_as_data(void **state)
{
    (void)state;
    struct kit kit;
    char path[256];
    kit_start(&kit);
    for (unsigned n = 0; n < 3; n++)
        for (int i = 0; i < 200; i++)
            assert_int_equal(kit_write(&kit, n, KIT_START_MS + i * 1000, noise(n, i)), 0);
    assert_int_equal(store_settle(kit.store), 0);
    file_in_history(&kit, path);
    struct model model = {0};
    for (unsigned n = 0; n < 3; n++)
        for (int i = 0; i < 200; i++)
            model_write(&model, n, KIT_START_MS + i * 1000, noise(n, i));
    kit_close(&kit); /* a clean stop: the file is not looked through at the next opening */

    struct stat stat_;
    assert_int_equal(stat(path, &stat_), 0);
    int fd = open(path, O_RDWR);
    size_t noticed = 0;
    bool overflow = false;
    off_t overflow_end = 0;
    /* Every byte of the stream's pages in turn would take long: every 97th of the file. */
    for (off_t at = 8192; at < stat_.st_size; at += 97) {
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        uint8_t flipped = byte ^ 0x10;
        uint8_t page[4096];
        off_t start = at / 4096 * 4096;
        assert_true(pread(fd, page, sizeof page, start) == (ssize_t)sizeof page);
        /* LMDB itself trusts its branch and leaf pages; our seals cover values, which is where
         * an overflow page's bytes are. */
        if (start >= overflow_end) {
            overflow = (page[10] & 0x04) != 0;
            uint32_t pages; /* of this value */
            memcpy(&pages, page + 12, sizeof pages);
            overflow_end = start + 4096 * (overflow ? (off_t)pages : 1);
        }
        if (!overflow || at % 4096 < 16)
            continue;
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        kit_open(&kit);
        char why[256] = "";
        bool agrees = kit_agrees(&kit, &model, ALWAYS, why, sizeof why);
        /* Either the byte meant nothing, or samples are missing; never a wrong one. */
        if (!agrees && strstr(why, "samples where") == NULL)
            fail_msg("byte %lld: %s", (long long)at, why);
        if (!agrees)
            assert_true(stats_of(&kit).quarantined > 0);
        noticed += !agrees;
        kit_close(&kit);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_true(noticed > 0);
    kit_open(&kit);
    kit_expect(&kit, &model, ALWAYS);
    kit_close(&kit);
    assert_int_equal(ftruncate(fd, stat_.st_size - 4096), 0);
    kit_open(&kit);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", ALWAYS), 0);
    assert_int_equal(stats_of(&kit).quarantined, 1);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + 900000, 1), 0);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", ALWAYS), 1);
    (void)close(fd);
    model_done(&model);
    kit_stop(&kit);
}

/* -- log lines --------------------------------------------------------------------------- */

static int write_line(struct kit *kit, uint64_t offset, int64_t ts_ms, const char *text)
{
    struct log_line line = {offset, ts_ms, 4, 0, bytes_of(text)};
    struct store_log_chunk logs[] = {
        {9, {77, bytes_of("/var/log/app.log"), &line, 1}},
        {8, {77, bytes_of("/var/log/neighbour.log"), &line, 1}},
        {UINT64_C(9) << 32, {77, bytes_of("/var/log/neighbour.log"), &line, 1}},
    };
    struct store_write write = {.logs = logs, .log_count = 3};
    return store_write_wait(kit->store, &write);
}

/* Those of one stream among others. */
static void expect_lines(struct kit *kit, uint64_t count)
{
    struct log_query query = {.stream_id = 9,
                              .from_ms = INT64_MIN / 2,
                              .until_ms = INT64_MAX / 2,
                              .limit = 10000};
    struct log_hit *hits;
    size_t found;
    struct arena arena;
    struct diagnosis why = {""};
    arena_init(&arena, 64 << 20);
    assert_int_equal(store_log_search(kit->store, &query, &arena, &hits, &found, &why), 0);
    assert_int_equal(found, count);
    for (size_t i = 0; i < found; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "line %zu", i);
        assert_int_equal(hits[i].line.offset, i * 10);
        assert_true(bytes_equal(hits[i].line.text, bytes_of(text)));
        assert_true(bytes_equal(hits[i].path, bytes_of("/var/log/app.log")));
        assert_int_equal(hits[i].stream_id, 9);
        assert_int_equal(hits[i].file_id, 77);
    }
    query.stream_id = 0;
    assert_int_equal(store_log_search(kit->store, &query, &arena, &hits, &found, &why), 0);
    assert_int_equal(found, 3 * count);
    arena_reset(&arena);
}

static void lines_are_found_once_wherever_they_are(void **state)
{
    (void)state;
    struct kit kit;
    kit_start(&kit);
    for (unsigned i = 0; i < 400; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "line %u", i);
        assert_int_equal(write_line(&kit, i * 10, KIT_START_MS + i, text), 0);
        if (i % 3 == 0) /* sent again: changes nothing */
            assert_int_equal(write_line(&kit, i * 10, KIT_START_MS + i, text), 0);
        if (i % 100 == 10)
            assert_int_equal(store_settle(kit.store), 0);
        if (i % 100 == 60) {
            kit_close(&kit);
            kit_open(&kit);
        }
        if (i % 20 == 0)
            expect_lines(&kit, i + 1);
    }
    expect_lines(&kit, 400);
    assert_int_equal(store_settle(kit.store), 0);
    expect_lines(&kit, 400);
    kit_stop(&kit);
}

static void patterns_find_the_same_series_in_memory_and_in_history(void **state)
{
    (void)state;
    static const struct {
        int kind;
        const char *value;
        size_t count;
    } cases[] = {
        {MATCH_REGEX, "1.*", 7},     {MATCH_REGEX, ".*1", 2},      {MATCH_REGEX, "1.+", 6},
        {MATCH_REGEX, ".*", 16},     {MATCH_REGEX, "1[0-2]", 3},   {MATCH_REGEX, ".*x", 0},
        {MATCH_NOT_REGEX, "1.*", 9}, {MATCH_NOT_REGEX, ".*1", 14}, {MATCH_NOT_REGEX, ".+", 0},
    };
    struct kit kit;
    kit_start(&kit);
    for (unsigned n = 0; n < 16; n++)
        assert_int_equal(kit_write(&kit, n, KIT_START_MS, n), 0);
    for (int settled = 0; settled < 2; settled++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            if (kit_count(&kit, cases[i].kind, "n", cases[i].value, ALWAYS) != cases[i].count)
                fail_msg("%s, settled %d", cases[i].value, settled);
        assert_int_equal(store_settle(kit.store), 0);
    }
    kit_stop(&kit);
}

/* A series in memory and in history is one, whether labels are asked for or not. */
static void series_without_labels_are_as_many(void **state)
{
    (void)state;
    struct kit kit;
    struct matcher *matcher;
    struct querier *querier;
    struct series_samples *series;
    size_t count = 0;
    struct arena arena;
    struct diagnosis why;
    const struct select_hints hints = {
        .from_ms = INT64_MIN / 2, .until_ms = INT64_MAX / 2, .no_labels = true};
    arena_init(&arena, (size_t)1 << 30);
    kit_start(&kit);
    for (unsigned n = 0; n < 16; n++) {
        assert_int_equal(kit_write(&kit, n, KIT_START_MS, n), 0);
        if (n == 7)
            assert_int_equal(store_settle(kit.store), 0);
        assert_int_equal(kit_write(&kit, n, KIT_START_MS + 1000, n), 0);
    }
    struct queryable *queryable = store_queryable(kit.store);
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why), 0);
    assert_int_equal(
        queryable->calls->open(queryable, hints.from_ms, hints.until_ms, &querier, &why), 0);
    assert_int_equal(queryable->calls->select(querier, &matcher, 1, &hints, NULL, &arena,
                                              &series, &count, &why),
                     0);
    assert_int_equal(count, 16);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(series[i].count, 2);
        assert_int_equal(series[i].labels->count, 0);
    }
    queryable->calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
    kit_stop(&kit);
}

static int select_m(struct kit *kit, const struct select_hints *hints, struct arena *arena,
                    struct series_samples **ret_series, size_t *ret_count)
{
    struct matcher *matcher;
    struct querier *querier;
    struct diagnosis why;
    struct queryable *queryable = store_queryable(kit->store);
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why), 0);
    assert_int_equal(
        queryable->calls->open(queryable, hints->from_ms, hints->until_ms, &querier, &why), 0);
    int error = queryable->calls->select(querier, &matcher, 1, hints, NULL, arena, ret_series,
                                         ret_count, &why);
    queryable->calls->close(querier);
    matcher_free(matcher);
    return error;
}

/* Times, and where markers are, do not depend on whether values are asked for; and where a series
 * is said to have no marker it has none. */
static void times_are_the_same_without_values(struct kit *kit, int64_t from_ms, int64_t until_ms)
{
    struct series_samples *all;
    struct series_samples *timed;
    size_t all_count = 0;
    size_t timed_count = 0;
    struct arena arena;
    struct select_hints hints = {.from_ms = from_ms, .until_ms = until_ms, .stored_only = true};
    arena_init(&arena, (size_t)1 << 30);
    assert_int_equal(select_m(kit, &hints, &arena, &all, &all_count), 0);
    hints.no_values = true;
    assert_int_equal(select_m(kit, &hints, &arena, &timed, &timed_count), 0);
    assert_int_equal(all_count, timed_count);
    assert_int_equal(all_count, 3);
    for (size_t n = 0; n < all_count; n++) {
        assert_int_equal(all[n].count, timed[n].count);
        assert_memory_equal(all[n].times_ms, timed[n].times_ms, all[n].count * sizeof(int64_t));
        assert_true(all[n].times_ms[0] >= from_ms);
        assert_true(all[n].times_ms[all[n].count - 1] <= until_ms);
        for (size_t i = 0; i < all[n].count; i++) {
            bool is_stale = is_stale_nan(all[n].values[i]);
            assert_int_equal(is_stale_nan(timed[n].values[i]), is_stale);
            assert_false(is_stale && (all[n].no_markers || timed[n].no_markers));
            if (!is_stale && n > 0) /* of 0 the values are all the same */
                assert_true(all[n].values[i] == (double)(all[n].times_ms[i] - KIT_START_MS));
        }
    }
    arena_reset(&arena);
}

static void who_counts_needs_no_values(void **state)
{
    (void)state;
    const uint64_t bits = STALE_NAN_BITS;
    double stale;
    struct kit kit;
    memcpy(&stale, &bits, sizeof stale);
    kit_start(&kit);
    for (int64_t i = 0; i < 200; i++)
        for (unsigned n = 0; n < 3; n++)
            assert_int_equal(kit_write(&kit, n, KIT_START_MS + i * 1000,
                                       n == 2 && i % 50 == 49 ? stale
                                       : n == 0                ? 5
                                                               : (double)(i * 1000)),
                             0);
    for (int settled = 0; settled < 2; settled++) {
        times_are_the_same_without_values(&kit, KIT_START_MS, KIT_START_MS + 199000);
        times_are_the_same_without_values(&kit, KIT_START_MS + 20500, KIT_START_MS + 180500);
        times_are_the_same_without_values(&kit, KIT_START_MS + 90500, KIT_START_MS + 110500);
        times_are_the_same_without_values(&kit, INT64_MIN, INT64_MAX);
        assert_int_equal(store_settle(kit.store), 0);
    }
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_settled_reads_the_same),
        cmocka_unit_test(late_samples_win_over_history_and_are_merged_into_it),
        cmocka_unit_test(the_spans_of_a_past_day_become_one_file),
        cmocka_unit_test(the_last_write_wins_when_the_clock_has_gone_back),
        cmocka_unit_test(a_day_that_goes_on_becomes_one_file_when_asked),
        cmocka_unit_test(what_is_older_than_retention_goes),
        cmocka_unit_test(an_idle_series_leaves_memory_and_comes_back_under_its_id),
        cmocka_unit_test(a_series_that_came_with_old_times_does_not_stay_for_a_span),
        cmocka_unit_test(a_damaged_byte_is_never_returned_as_data),
        cmocka_unit_test(lines_are_found_once_wherever_they_are),
        cmocka_unit_test(patterns_find_the_same_series_in_memory_and_in_history),
        cmocka_unit_test(series_without_labels_are_as_many),
        cmocka_unit_test(who_counts_needs_no_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
