/*
 * test_deletes.c - what is deleted is gone for every query from then on, and nothing else is.
 *
 * What can go wrong, and the test that would see it:
 *   - samples are in the WAL only, in open or late tails, in sealed chunks, in history, in a file
 *     above another: in each place a delete must find them
 *     (wherever_the_samples_are_..., random work in test_deletes_races.c)
 *   - what is written into the deleted time afterwards must live, the same value at the same
 *     time too, whether it goes to a tail, a late tail or over a history file
 *     (what_is_written_after_a_delete_lives)
 *   - a kill after the answer: WAL and tails rows still hold the samples, and seal numbers and
 *     generations begin anew below those the delete speaks of (a_kill_...)
 *   - a delete in the middle of a flush, a merge, a pass or a rewrite: what is being written
 *     knows nothing of it, or is just being registered (test_deletes_races.c)
 *   - the delete is forgotten before all it covers is gone, or never
 *     (a_delete_is_forgotten_once_nothing_is_left)
 *   - a rewritten file wins over one that was written later (a_rewrite_keeps_the_order_of_files)
 *   - a file of which nothing is left (a_file_of_which_nothing_is_left_goes)
 *   - series without samples go on being listed, or partly deleted ones are not
 *     (a_series_without_samples_is_not_listed)
 *   - a silent source's marker stands where nothing is any more
 *     (a_silent_series_that_is_deleted_does_not_end)
 *   - a damaged file: what cannot be rewritten must stay hidden
 *     (what_cannot_be_rewritten_stays_hidden)
 */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
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

#include "collector/store/deletes.h"
#include "collector/store/pieces.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)

static struct store_stats stats_of(struct kit *kit)
{
    struct store_stats stats;
    store_get_stats(kit->store, &stats);
    return stats;
}

static void add_bytes(void *context, const struct store_span *span)
{
    *(uint64_t *)context += span->bytes;
}

static uint64_t history_bytes(struct kit *kit)
{
    uint64_t bytes = 0;
    assert_int_equal(store_each_span(kit->store, add_bytes, &bytes), 0);
    return bytes;
}

/* -- where samples are ------------------------------------------------------------------- */

static void wherever_the_samples_are_they_are_gone_at_once(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 3 * SPAN_MS;
    kit_run(&kit, &model, 0, t, t + 3 * SPAN_MS, 1); /* history */
    kit_run(&kit, &model, 1, t, t + 3 * SPAN_MS, 1);
    assert_int_equal(store_settle(kit.store), 0);
    kit_run(&kit, &model, 0, t + SPAN_MS / 2, t + 2 * SPAN_MS, 2); /* late, over it */
    kit_run(&kit, &model, 0, t + 3 * SPAN_MS, t + 4 * SPAN_MS, 3); /* chunks and a tail */
    kit_run(&kit, &model, 0, t + 3 * SPAN_MS, t + 3 * SPAN_MS + 90000, 4); /* late tail */
    kit_expect(&kit, &model, ALWAYS);
    /* Pieces of each, beginning and ending between samples, at one, at one only. */
    kit_delete_both(&kit, &model, 0, t + 7, t + KIT_STEP_MS);
    kit_delete_both(&kit, &model, 0, t + SPAN_MS, t + SPAN_MS);
    kit_delete_both(&kit, &model, 0, t + SPAN_MS * 3 / 4, t + SPAN_MS + SPAN_MS / 4);
    kit_delete_both(&kit, &model, 0, t + 3 * SPAN_MS + 30000, t + 3 * SPAN_MS + 3600000);
    kit_delete_both(&kit, &model, 0, t + 4 * SPAN_MS - 60000, t + 4 * SPAN_MS);
    kit_expect(&kit, &model, ALWAYS);
    kit_close(&kit);
    kit_open(&kit);
    kit_expect(&kit, &model, ALWAYS);
    kit_crash(&kit);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    kit_delete_both(&kit, &model, MODEL_ALL, ALWAYS);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", ALWAYS), 0);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 0);
    model_done(&model);
    kit_stop(&kit);
}

static void what_is_written_after_a_delete_lives(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 2 * SPAN_MS;
    for (int round = 0; round < 4; round++) {
        /* The same samples each time: nothing may be taken for a twin of what is deleted. */
        kit_run(&kit, &model, 0, t, t + SPAN_MS + 600000, 1);
        assert_int_equal(kit_write(&kit, 0, t + SPAN_MS + 600000, 1), 0);
        model_write(&model, 0, t + SPAN_MS + 600000, 1);
        kit_expect(&kit, &model, ALWAYS);
        if (round == 1)
            assert_int_equal(store_settle(kit.store), 0);
        if (round == 2)
            kit_crash(&kit);
        if (round == 3)
            break;
        kit_delete_both(&kit, &model, 0, round == 0 ? t + 3600000 : INT64_MIN, INT64_MAX);
        kit_expect(&kit, &model, ALWAYS);
    }
    kit_crash(&kit);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).deletes_pending, 0);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void a_kill_brings_nothing_back(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + SPAN_MS;
    kit_run(&kit, &model, 0, t, t + SPAN_MS, 1);
    kit_delete_both(&kit, &model, 0, t, t + SPAN_MS / 2);
    kit_crash(&kit); /* all of it from the WAL */
    kit_expect(&kit, &model, ALWAYS);
    kit_run(&kit, &model, 0, t, t + 600000, 2); /* seal numbers begin anew */
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_clean_deletes(kit.store), 0); /* a pass: now from rows */
    kit_run(&kit, &model, 1, t, t + 600000, 2);
    kit_delete_both(&kit, &model, MODEL_ALL, t, t + 300000);
    kit_crash(&kit);
    kit_expect(&kit, &model, ALWAYS);
    kit_crash(&kit);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

/* Seal numbers and generations that a delete speaks of were given out, though nothing else on disk
 * says so. */
static void numbers_go_on_above_those_of_a_delete(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 2 * SPAN_MS;
    kit_run(&kit, &model, 0, t, t + SPAN_MS, 1);
    for (int i = 0; i < 5; i++)
        kit_delete_both(&kit, &model, 0, t + i * 120000, t + i * 120000 + 60000);
    kit_crash(&kit);
    kit_run(&kit, &model, 0, t, t + SPAN_MS / 2, 2);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void what_only_looks_like_the_newest_sample_is_none(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit_run(&kit, &model, 0, t, t + 600000, 1);
    kit_delete_both(&kit, &model, 0, t + 300001, INT64_MAX);
    /* Where the series ends now there is no sample, and the value is that of the last one. */
    assert_int_equal(kit_write(&kit, 0, t + 300000, 1), 0);
    model_write(&model, 0, t + 300000, 1);
    kit_delete_both(&kit, &model, 0, t + 290000, INT64_MAX);
    assert_int_equal(kit_write(&kit, 0, t + 289999, 1), 0);
    model_write(&model, 0, t + 289999, 1);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

/* -- space, and the end of a delete ------------------------------------------------------ */

static void a_delete_is_forgotten_once_nothing_is_left(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 3 * SPAN_MS;
    for (unsigned n = 0; n < 40; n++)
        kit_run(&kit, &model, n, t, t + 2 * SPAN_MS, NAN);
    assert_int_equal(store_settle(kit.store), 0);
    uint64_t before = history_bytes(&kit);
    for (unsigned n = 1; n < 40; n++)
        kit_delete_both(&kit, &model, n, ALWAYS);
    assert_int_equal(stats_of(&kit).deletes_pending, 39);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_clean_deletes(kit.store), 0);
    assert_int_equal(stats_of(&kit).deletes_pending, 0);
    assert_true(history_bytes(&kit) < before);
    kit_expect(&kit, &model, ALWAYS);
    /* In the head it is cut when it is flushed, not before. */
    kit_run(&kit, &model, 0, t + 2 * SPAN_MS, t + 3 * SPAN_MS, 1);
    kit_delete_both(&kit, &model, 0, t + 2 * SPAN_MS, t + 2 * SPAN_MS + 60000);
    assert_int_equal(store_clean_deletes(kit.store), 0);
    assert_int_equal(stats_of(&kit).deletes_pending, 1);
    kit_close(&kit);
    kit_open(&kit);
    assert_int_equal(stats_of(&kit).deletes_pending, 1);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).deletes_pending, 0);
    kit_close(&kit);
    kit_open(&kit);
    assert_int_equal(stats_of(&kit).deletes_pending, 0);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void a_file_of_which_nothing_is_left_goes(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 4 * SPAN_MS;
    kit_run(&kit, &model, 0, t, t + 2 * SPAN_MS, 1);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 2);
    kit_delete_both(&kit, &model, 0, t, t + SPAN_MS - 1);
    assert_int_equal(store_clean_deletes(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    /* A flush of which nothing is left writes no file. */
    kit_run(&kit, &model, 1, t, t + SPAN_MS, 1);
    kit_delete_both(&kit, &model, 1, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(stats_of(&kit).spans, 1);
    assert_int_equal(stats_of(&kit).head_chunks, 0);
    kit_crash(&kit);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(stats_of(&kit).spans, 1);
    model_done(&model);
    kit_stop(&kit);
}

/* Two files of one span that have not been merged: rewriting the lower one alone would put it
 * above. */
static void a_rewrite_keeps_the_order_of_files(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + SPAN_MS / 2;
    kit_run(&kit, &model, 0, t, t + SPAN_MS, 1);
    assert_int_equal(store_settle(kit.store), 0);
    kit_run(&kit, &model, 0, t + 600000, t + 1200000, 2);
    kit_delete_both(&kit, &model, 0, t, t + 300000);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    kit_delete_both(&kit, &model, 0, t + 900000, t + 1000000);
    kit_run(&kit, &model, 0, t + 900000, t + 930000, 3);
    assert_int_equal(store_clean_deletes(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

/* -- listing, silence -------------------------------------------------------------------- */

static size_t listed(struct kit *kit, int64_t from_ms, int64_t until_ms)
{
    struct arena arena;
    struct matcher *matcher;
    struct querier *querier;
    struct series_samples *series;
    struct diagnosis why = {""};
    size_t count = 0;
    struct queryable *queryable = store_queryable(kit->store);
    arena_init(&arena, (size_t)1 << 24);
    must(matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why) == 0);
    must(queryable->calls->open(queryable, from_ms, until_ms, &querier, &why) == 0);
    struct select_hints hints = {.from_ms = from_ms, .until_ms = until_ms, .no_samples = true};
    must(queryable->calls->select(querier, &matcher, 1, &hints, NULL, &arena, &series, &count,
                                  &why) == 0);
    queryable->calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
    return count;
}

static void a_series_without_samples_is_not_listed(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 3 * SPAN_MS;
    for (int place = 0; place < 3; place++) { /* tails; chunks; history */
        int64_t end = t + (place == 0 ? 600000 : SPAN_MS);
        kit_run(&kit, &model, 0, t, end, 1);
        kit_run(&kit, &model, 1, t, end, 1);
        if (place == 2)
            assert_int_equal(store_settle(kit.store), 0);
        assert_int_equal(listed(&kit, ALWAYS), 2);
        kit_delete_both(&kit, &model, 0, t, t + 300000);
        assert_int_equal(listed(&kit, ALWAYS), 2);
        assert_int_equal(listed(&kit, t, t + 300000), 1);
        kit_delete_both(&kit, &model, 0, t + 300000, INT64_MAX);
        assert_int_equal(listed(&kit, ALWAYS), 1);
        kit_delete_both(&kit, &model, 1, ALWAYS);
        assert_int_equal(listed(&kit, ALWAYS), 0);
        kit_expect(&kit, &model, ALWAYS);
    }
    model_done(&model);
    kit_stop(&kit);
}

static void a_silent_series_that_is_deleted_does_not_end(void **state)
{
    (void)state;
    struct kit kit;
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    store_series_set_source(kit_series(&kit, 0), 7);
    assert_int_equal(kit_write(&kit, 0, t, 1), 0);
    store_set_absent(kit.store, 7, t + 5000);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", ALWAYS), 1);
    assert_int_equal(kit_delete(&kit, 0, INT64_MIN, INT64_MAX), 0);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", ALWAYS), 0);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", ALWAYS), 0);
    kit_stop(&kit);
}

/* -- ages ------------------------------------------------------------------------------------ */

static void sum_series(void *context, const struct store_span *span)
{
    *(uint64_t *)context += span->series;
}

static void series_of_an_age_of_their_own_go_before_the_others(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct matcher *matcher;
    struct diagnosis why = {""};
    uint64_t in_files = 0;
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit_close(&kit);
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of("0"), &matcher, &why), 0);
    const struct store_retention age = {.selection = {&matcher, 1}, .raw_ms = SPAN_MS};
    kit.options.ages = &age;
    kit.options.age_count = 1;
    kit.now_ms = t + 3 * SPAN_MS;
    kit_open(&kit);
    for (unsigned n = 0; n < 2; n++)
        kit_run(&kit, &model, n, t, t + 3 * SPAN_MS, n);
    model_delete(&model, 0, INT64_MIN, kit.now_ms - SPAN_MS - 1);
    kit_expect(&kit, &model, ALWAYS); /* at once */
    assert_int_equal(listed(&kit, t, t + SPAN_MS), 1);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_each_span(kit.store, sum_series, &in_files), 0);
    assert_int_equal(in_files, 4);
    kit_crash(&kit);
    kit_expect(&kit, &model, ALWAYS);
    /* The clock goes on: what is too old by now is hidden, then taken out of its file. */
    kit.now_ms += SPAN_MS / 2;
    model_delete(&model, 0, INT64_MIN, kit.now_ms - SPAN_MS - 1);
    kit_expect(&kit, &model, ALWAYS);
    kit.now_ms += SPAN_MS;
    model_delete(&model, 0, INT64_MIN, INT64_MAX);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    in_files = 0;
    assert_int_equal(store_each_span(kit.store, sum_series, &in_files), 0);
    assert_int_equal(in_files, 3);
    model_done(&model);
    kit_stop(&kit);
    matcher_free(matcher);
}

/* -- damage, limits, rows ---------------------------------------------------------------- */

static void damage_history(const struct kit *kit)
{
    char path[512];
    char folder[128];
    (void)snprintf(folder, sizeof folder, "%s/history", kit->directory);
    DIR *entries = opendir(folder);
    must(entries != NULL);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        must(fd >= 0 && ftruncate(fd, 4096) == 0);
        (void)close(fd);
    }
    (void)closedir(entries);
}

static void what_cannot_be_rewritten_stays_hidden(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 3 * SPAN_MS;
    kit_run(&kit, &model, 0, t, t + SPAN_MS, 1);
    assert_int_equal(store_settle(kit.store), 0);
    kit_close(&kit);
    damage_history(&kit);
    kit_open(&kit);
    kit_delete_both(&kit, &model, 0, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    /* The file may be repaired from a backup one day: the delete is still there. */
    assert_int_equal(stats_of(&kit).deletes_pending, 1);
    model_done(&model);
    kit_stop(&kit);
}

static void what_no_delete_can_be_is_refused(void **state)
{
    (void)state;
    struct kit kit;
    kit_start(&kit);
    assert_int_equal(kit_delete(&kit, 0, 5, 4), ERR_INVALID);
    assert_int_equal(store_delete(kit.store, NULL, 0, 0, 1), ERR_INVALID);
    static struct store_selection all[DELETES_MAX];
    struct matcher *matcher;
    struct diagnosis why = {""};
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of("0"), &matcher, &why), 0);
    for (size_t i = 0; i < DELETES_MAX; i++)
        all[i] = (struct store_selection){&matcher, 1};
    assert_int_equal(store_delete(kit.store, all, DELETES_MAX, 0, 1), 0);
    matcher_free(matcher);
    assert_int_equal(kit_delete(&kit, 0, 5, 5), ERR_LIMIT);
    assert_int_equal(store_clean_deletes(kit.store), 0);
    assert_int_equal(kit_delete(&kit, 0, 5, 5), 0);
    kit_stop(&kit);
}

static void a_row_reads_as_it_was_written(void **state)
{
    (void)state;
    struct matcher *matchers[2];
    struct diagnosis why = {""};
    struct deletion *deletion;
    struct deletion *read;
    struct buf out = {0};
    assert_int_equal(matcher_new(MATCH_REGEX, bytes_of("a"), bytes_of("b|c.*"), &matchers[0],
                                 &why), 0);
    assert_int_equal(matcher_new(MATCH_NOT_EQUAL, bytes_of("d"), bytes_of(""), &matchers[1],
                                 &why), 0);
    assert_int_equal(deletion_new(matchers, 2, INT64_MIN, INT64_MAX, &deletion), 0);
    deletion->commit = 1;
    deletion->generation = UINT64_MAX;
    deletion->seal = 300;
    delete_row_write(deletion, &out);
    assert_int_equal(delete_row_read(buf_bytes(&out), &read), 0);
    assert_true(matchers_equal(matchers, 2, read->matchers, read->count));
    assert_true(read->from_ms == INT64_MIN && read->until_ms == INT64_MAX);
    assert_true(read->commit == 1 && read->generation == UINT64_MAX && read->seal == 300);
    for (size_t size = 0; size < out.size; size++) {
        struct deletion *none = NULL;
        int error = delete_row_read((struct bytes){out.data, size}, &none);
        assert_true(error == 0 || error == ERR_MALFORMED);
        deletion_release(none);
    }
    deletion_release(read);
    deletion_release(deletion);
    matcher_free(matchers[0]);
    matcher_free(matchers[1]);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wherever_the_samples_are_they_are_gone_at_once),
        cmocka_unit_test(what_is_written_after_a_delete_lives),
        cmocka_unit_test(a_kill_brings_nothing_back),
        cmocka_unit_test(numbers_go_on_above_those_of_a_delete),
        cmocka_unit_test(what_only_looks_like_the_newest_sample_is_none),
        cmocka_unit_test(a_delete_is_forgotten_once_nothing_is_left),
        cmocka_unit_test(a_file_of_which_nothing_is_left_goes),
        cmocka_unit_test(a_rewrite_keeps_the_order_of_files),
        cmocka_unit_test(a_series_without_samples_is_not_listed),
        cmocka_unit_test(a_silent_series_that_is_deleted_does_not_end),
        cmocka_unit_test(series_of_an_age_of_their_own_go_before_the_others),
        cmocka_unit_test(what_cannot_be_rewritten_stays_hidden),
        cmocka_unit_test(what_no_delete_can_be_is_refused),
        cmocka_unit_test(a_row_reads_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
