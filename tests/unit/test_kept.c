/*
 * test_kept.c - what questions that are asked again find in the cache: the series they select,
 * and their samples as they were decoded.  An answer must not tell.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/store/gather.h"
#include "collector/store/kept_run.h"
#include "collector/store/parts.h"
#include "collector/store/selection.h"
#include "collector/store/span_parts.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define SERIES  3U

/* Asked so often that all there is to keep is kept and used. */
static void expect_often(struct kit *kit, const struct model *model)
{
    const int64_t at = KIT_START_MS + SPAN_MS;
    for (int i = 0; i < 4; i++) {
        kit_expect(kit, model, ALWAYS);
        kit_expect(kit, model, at - 100 * KIT_STEP_MS, at + 7 * KIT_STEP_MS);
        kit_expect(kit, model, at - KIT_STEP_MS, at);
        kit_expect(kit, model, at + 1, at + KIT_STEP_MS - 1);
    }
}

/* How many runs of decoded series are kept. */
static size_t count_kept(struct kit *kit)
{
    size_t count = 0;
    size_t bytes = 0;
    kept_runs_sum(span_set_runs(kit->store->spans), &count, &bytes);
    return count;
}

static void start(struct kit *kit, struct model *model)
{
    kit_start(kit);
    kit->now_ms = KIT_START_MS + 2 * SPAN_MS;
    for (unsigned n = 0; n < SERIES; n++)
        kit_run(kit, model, n, KIT_START_MS, KIT_START_MS + 2 * SPAN_MS, n == 0 ? 1 : NAN);
    assert_int_equal(store_settle(kit->store), 0);
}

static void what_is_asked_often_is_kept_and_the_same(void **state)
{
    (void)state;
    const int64_t at = KIT_START_MS + SPAN_MS;
    struct kit kit;
    struct model model = {0};
    start(&kit, &model);
    assert_int_equal(count_kept(&kit), 0);
    expect_often(&kit, &model);
    assert_int_equal(count_kept(&kit), 2);
    kit_delete_both(&kit, &model, 1, at - 50 * KIT_STEP_MS, at + 50 * KIT_STEP_MS);
    expect_often(&kit, &model);
    kit_run(&kit, &model, 1, at - 9 * KIT_STEP_MS, at + 9 * KIT_STEP_MS,
            5); /* over the kept ones */
    kit_run(&kit, &model, 2, at - 9 * KIT_STEP_MS, at + 9 * KIT_STEP_MS, 6);
    expect_often(&kit, &model);
    assert_int_equal(store_settle(kit.store), 0);
    expect_often(&kit, &model);
    kit_close(&kit);
    kit_open(&kit);
    assert_int_equal(count_kept(&kit), 0);
    expect_often(&kit, &model);
    model_done(&model);
    kit_stop(&kit);
}

/* All of the two hours in both files, asked the third time. */
static size_t select_kept(struct kit *kit, struct arena *arena, struct series_samples **ret_series)
{
    for (int i = 0; i < 2; i++)
        (void)kit_count(kit, MATCH_EQUAL, "__name__", "m", ALWAYS);
    arena_init(arena, (size_t)1 << 30);
    return kit_select(kit, MATCH_EQUAL, "__name__", "m", ALWAYS, arena, ret_series);
}

static void series_of_the_same_times_share_them(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct arena arena;
    struct series_samples *series;
    start(&kit, &model);
    kit_run(&kit, &model, SERIES, KIT_START_MS, KIT_START_MS + SPAN_MS, 4);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(select_kept(&kit, &arena, &series), SERIES + 1);
    for (unsigned n = 1; n < SERIES; n++)
        assert_ptr_equal(series[n].times_ms, series[0].times_ms);
    assert_ptr_not_equal(series[SERIES].times_ms, series[0].times_ms);
    assert_int_equal(series[SERIES].count * 2, series[0].count);
    arena_reset(&arena);
    model_done(&model);
    kit_stop(&kit);
}

static void an_answer_lives_as_long_as_its_arena(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct arena arena;
    struct series_samples *series;
    start(&kit, &model);
    const size_t count = select_kept(&kit, &arena, &series);
    assert_int_equal(count, SERIES);
    assert_true(arena.held_bytes > series[0].count * SERIES * sizeof(double));
    kit_close(&kit); /* and nothing is kept any more */
    for (size_t i = 0; i < count; i++) {
        struct bytes text = labels_get_text(series[i].labels, "n");
        assert_int_equal(text.data[0], '0' + i);
        for (size_t k = 0; k < series[i].count; k++)
            assert_int_equal(series[i].times_ms[k], KIT_START_MS + (int64_t)k * KIT_STEP_MS);
    }
    arena_reset(&arena);
    assert_int_equal(arena.held_bytes, 0);
    kit_open(&kit);
    model_done(&model);
    kit_stop(&kit);
}

/* A query whose memory is short copies what it needs of a run, or does without. */
static void a_run_counts_as_memory_of_who_asks(void **state)
{
    (void)state;
    const int64_t at = KIT_START_MS + SPAN_MS;
    struct kit kit;
    struct model model = {0};
    struct arena arena;
    struct series_samples *series;
    size_t count = 0;
    size_t bytes = 0;
    start(&kit, &model);
    (void)select_kept(&kit, &arena, &series);
    arena_reset(&arena);
    kept_runs_sum(span_set_runs(kit.store->spans), &count, &bytes);
    assert_int_equal(count, 1);
    arena_init(&arena, bytes);
    assert_int_equal(kit_select(&kit, MATCH_EQUAL, "__name__", "m", at - 5 * KIT_STEP_MS,
                                at + 5 * KIT_STEP_MS, &arena, &series),
                     SERIES);
    for (unsigned n = 0; n < SERIES; n++)
        assert_int_equal(series[n].count, 11);
    arena_reset(&arena);
    model_done(&model);
    kit_stop(&kit);
}

/* A select of few samples in a total of so many bytes. */
static int select_within(struct kit *kit, size_t bytes)
{
    const int64_t at = KIT_START_MS + SPAN_MS;
    const struct select_hints hints = {.from_ms = at - 5 * KIT_STEP_MS,
                                       .until_ms = at + 5 * KIT_STEP_MS};
    struct queryable *queryable = store_queryable(kit->store);
    struct arena_total total = {.limit_bytes = bytes};
    struct series_samples *series;
    struct querier *querier;
    struct matcher *matcher;
    struct arena arena;
    struct diagnosis why;
    size_t count = 0;
    arena_init(&arena, (size_t)1 << 30);
    arena.total = &total;
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why),
                     0);
    assert_int_equal(
        queryable->calls->open(queryable, hints.from_ms, hints.until_ms, &querier, &why), 0);
    int error = queryable->calls->select(querier, &matcher, 1, &hints, NULL, &arena, &series,
                                         &count, &why);
    assert_true(error == ERR_LIMIT || (error == 0 && count == SERIES));
    assert_int_equal(arena.total_refused, error != 0);
    assert_int_equal(total.held_bytes, arena.held_bytes);
    queryable->calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
    assert_int_equal(total.held_bytes, 0);
    return error;
}

/* Where there is room for the run, but not for what it is made from, too, the question is answered all
 * the same. */
static void a_run_counts_while_it_is_made(void **state)
{
    (void)state;
    size_t count = 0;
    size_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        struct kit kit;
        struct model model = {0};
        start(&kit, &model);
        assert_int_equal(select_within(&kit, (size_t)1 << 30), 0);
        const size_t room = i == 0 ? (size_t)1 << 30 : bytes + bytes / 8 * 5;
        assert_int_equal(select_within(&kit, room), 0);
        kept_runs_sum(span_set_runs(kit.store->spans), &count, &bytes);
        assert_int_equal(count, i == 0);
        model_done(&model);
        kit_stop(&kit);
    }
}

/* What the head has: later samples, some of a time that is kept, a series of its own. */
static void what_stands_beside_a_run_is_told(void **state)
{
    (void)state;
    const int64_t at = KIT_START_MS + SPAN_MS;
    const int64_t end = KIT_START_MS + 2 * SPAN_MS;
    struct kit kit;
    struct model model = {0};
    start(&kit, &model);
    expect_often(&kit, &model);
    assert_int_equal(count_kept(&kit), 2);
    kit.now_ms = end + SPAN_MS;
    kit_run(&kit, &model, 1, end, end + 20 * KIT_STEP_MS, 5);
    kit_run(&kit, &model, 2, at - 9 * KIT_STEP_MS, at + 9 * KIT_STEP_MS, 6);
    kit_run(&kit, &model, SERIES, at, at + 9 * KIT_STEP_MS, 7);
    expect_often(&kit, &model);
    kit_expect(&kit, &model, end - KIT_STEP_MS, end + KIT_STEP_MS);
    assert_int_equal(count_kept(&kit), 2);
    model_done(&model);
    kit_stop(&kit);
}

static void a_silent_series_ends_beside_a_run(void **state)
{
    (void)state;
    const int64_t last = KIT_START_MS + 2 * SPAN_MS - KIT_STEP_MS;
    struct kit kit;
    struct model model = {0};
    struct arena arena;
    struct series_samples *series;
    start(&kit, &model);
    store_series_set_source(kit_series(&kit, 1), 7);
    store_set_absent(kit.store, 7, last + 5000);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(select_kept(&kit, &arena, &series), SERIES);
        assert_int_equal(series[1].count, series[0].count + (round == 0));
        const size_t end = series[1].count - 1;
        assert_int_equal(is_stale_nan(series[1].values[end]), round == 0);
        assert_int_equal(series[1].times_ms[end], last + (round == 0));
        assert_true(series[0].times_ms == series[2].times_ms);
        arena_reset(&arena);
        store_set_absent(kit.store, 7, 0);
    }
    model_done(&model);
    kit_stop(&kit);
}

/* A run of one series whose values are its key's byte. */
static struct kept_run *make_run(struct kept_runs *runs, uint8_t key, size_t samples)
{
    struct kept_run *run = kept_run_new(runs, (struct bytes){&key, 1}, 1);
    assert_non_null(run);
    double *values = arena_alloc_raw(&run->memory, samples, sizeof *values);
    if (values == NULL) {
        kept_run_release(run);
        return NULL;
    }
    for (size_t i = 0; i < samples; i++)
        values[i] = key;
    run->series[0] = (struct run_series){.values = values, .count = samples};
    run->count = 1;
    return run;
}

static struct kept_run *find_run(struct kept_runs *runs, uint8_t key)
{
    struct kept_run *run = kept_runs_find(runs, (struct bytes){&key, 1});
    for (size_t i = 0; run != NULL && i < run->series[0].count; i++)
        assert_true(run->series[0].values[i] == key);
    return run;
}

static void the_least_recently_used_run_goes(void **state)
{
    (void)state;
    struct kept_runs *runs;
    size_t count = 0;
    size_t bytes = 0;
    assert_int_equal(kept_runs_new(100000, &runs), 0);
    assert_null(make_run(runs, 0, 10000)); /* too large a part */
    struct kept_run *first = make_run(runs, 1, 1000);
    kept_runs_put(runs, first);
    for (uint8_t key = 2; key < 40; key++) {
        struct kept_run *run = make_run(runs, key, 1000);
        kept_runs_put(runs, run);
        kept_run_release(run);
        struct kept_run *used = find_run(runs, 2);
        assert_non_null(used);
        kept_run_release(used);
    }
    kept_runs_sum(runs, &count, &bytes);
    assert_true(count >= 4 && bytes <= 100000);
    assert_null(find_run(runs, 1)); /* it went, and lives on for its holder */
    assert_true(first->series[0].values[999] == 1);
    kept_run_release(first);
    struct kept_run *last = find_run(runs, 39);
    assert_non_null(last);
    kept_runs_free(runs);
    assert_true(last->series[0].values[0] == 39);
    kept_run_release(last);
}

static void what_is_wanted_twice_is_joined_unless_it_is_refused(void **state)
{
    (void)state;
    struct kept_runs *runs;
    const struct bytes key = bytes_of("this");
    assert_int_equal(kept_runs_new(100000, &runs), 0);
    assert_false(kept_runs_wants(runs, key));
    assert_false(kept_runs_wants(runs, bytes_of("that")));
    assert_true(kept_runs_wants(runs, key));
    kept_runs_refuse(runs, key);
    assert_false(kept_runs_wants(runs, key));
    assert_true(kept_runs_wants(runs, bytes_of("that")));
    kept_runs_free(runs);
}

static void other_matchers_select_other_series(void **state)
{
    (void)state;
    const int64_t from_ms = KIT_START_MS, until_ms = KIT_START_MS + 2 * SPAN_MS;
    struct kit kit;
    struct model model = {0};
    start(&kit, &model);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(kit_count(&kit, MATCH_EQUAL, "n", "1", from_ms, until_ms), 1);
        assert_int_equal(kit_count(&kit, MATCH_NOT_EQUAL, "n", "1", from_ms, until_ms),
                         SERIES - 1);
        assert_int_equal(kit_count(&kit, MATCH_REGEX, "n", "1|2", from_ms, until_ms), 2);
        assert_int_equal(kit_count(&kit, MATCH_EQUAL, "n", "7", from_ms, until_ms), 0);
    }
    model_done(&model);
    kit_stop(&kit);
}

static void a_selection_answers_its_own_question(void **state)
{
    (void)state;
    struct group_cache *cache;
    struct matcher *one;
    struct matcher *other;
    struct diagnosis why;
    struct selection selection;
    struct buf question = {0};
    struct buf another = {0};
    const struct selected series[] = {{3, 0, 0}, {70, 64, 64}};
    assert_int_equal(group_cache_new(100000, &cache), 0);
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("a"), bytes_of("bc"), &one, &why), 0);
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("ab"), bytes_of("c"), &other, &why), 0);
    selection_question(&one, 1, &question);
    selection_question(&other, 1, &another);
    assert_false(bytes_equal(buf_bytes(&question), buf_bytes(&another)));
    /* As selection_offer() puts it in. */
    struct buf entries = {0};
    buf_put(&entries, series, sizeof series);
    buf_put(&entries, question.data, question.size);
    const uint32_t offsets[] = {0, sizeof series, (uint32_t)entries.size};
    for (uint64_t generation = 1; generation < 3; generation++)
        group_cache_put(cache, selection_key(generation, buf_bytes(&question)),
                        &(struct group_view){entries.data, offsets, 2});
    assert_true(selection_find(cache, 2, buf_bytes(&question), &selection));
    assert_int_equal(selection.count, 2);
    assert_memory_equal(selection.items, series, sizeof series);
    selection_release(cache, &selection);
    assert_false(selection_find(cache, 3, buf_bytes(&question), &selection));
    assert_false(selection_find(cache, 2, buf_bytes(&another), &selection));
    /* Another question of the same hash. */
    group_cache_put(cache, selection_key(5, buf_bytes(&another)),
                    &(struct group_view){entries.data, offsets, 2});
    assert_false(selection_find(cache, 5, buf_bytes(&another), &selection));
    buf_done(&entries);
    buf_done(&question);
    buf_done(&another);
    matcher_free(one);
    matcher_free(other);
    group_cache_free(cache);
}

static void what_is_kept_of_a_damaged_file_is_not_told(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct span **spans;
    size_t count = 0;
    start(&kit, &model);
    expect_often(&kit, &model);
    assert_int_equal(count_kept(&kit), 2);
    assert_int_equal(span_set_acquire(kit.store->spans, ALWAYS, &spans, &count), 0);
    for (size_t i = 0; i < count; i++)
        span_quarantine(spans[i], "a test says so");
    span_set_release(kit.store->spans, spans, count);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", ALWAYS), 0);
    model_done(&model);
    kit_stop(&kit);
}

static int pass_by(struct gather *gather, struct span *span, struct span_reader *reader,
                   uint32_t ordinal, void *context)
{
    (void)gather, (void)span, (void)reader, (void)ordinal, (void)context;
    return 0;
}

static int read_labels(struct gather *gather, struct span *span, struct span_reader *reader,
                       uint32_t ordinal, void *context)
{
    size_t *tries = context;
    const struct labels *labels;
    (void)span;
    ++*tries;
    return span_reader_labels(reader, ordinal, gather->arena, &labels);
}

/* It is known what is selected in a file, which then cannot be opened any more to read it. */
static void a_file_that_is_lost_has_not_been_read(void **state)
{
    (void)state;
    const struct select_hints hints = {.from_ms = KIT_START_MS,
                                       .until_ms = KIT_START_MS + 2 * SPAN_MS};
    struct kit kit;
    struct model model = {0};
    struct span **spans;
    struct matcher *matcher;
    struct diagnosis why;
    struct arena arena;
    struct gather gather;
    char path[512];
    size_t count = 0;
    size_t tries = 0;
    start(&kit, &model);
    arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(matcher_new(MATCH_REGEX, bytes_of("n"), bytes_of(".+"), &matcher, &why), 0);
    assert_int_equal(span_set_acquire(kit.store->spans, ALWAYS, &spans, &count), 0);
    assert_int_equal(gather_init(&gather, kit.store, &hints, NULL, &arena), 0);
    for (int i = 0; i < 2; i++) {
        bool is_read = false;
        assert_int_equal(gather_span(&gather, spans[0], &matcher, 1, pass_by, NULL, &is_read), 0);
        assert_true(is_read);
    }
    while (spans[0]->env != NULL)
        span_set_close_idle(kit.store->spans);
    (void)snprintf(path, sizeof path, "%s/%s", span_set_directory(kit.store->spans),
                   span_name(spans[0]));
    assert_int_equal(unlink(path), 0);
    const uint64_t before = kit.store->quarantined;
    bool is_read = false;
    assert_int_equal(gather_span(&gather, spans[0], &matcher, 1, read_labels, &tries, &is_read),
                     0);
    assert_false(is_read);
    assert_int_equal(tries, 1);
    assert_int_equal(kit.store->quarantined, before + 1);
    gather_done(&gather);
    span_set_release(kit.store->spans, spans, count);
    matcher_free(matcher);
    arena_reset(&arena);
    model_done(&model);
    kit_stop(&kit);
}

struct asking {
    struct kit *kit;
    const struct model *model;
    _Atomic bool *is_over;
    bool agrees;
    char why[256];
};

static void *ask(void *context)
{
    struct asking *asking = context;
    const int64_t until_ms = KIT_START_MS + 2 * SPAN_MS - 1;
    for (int64_t i = 0; asking->agrees && (i < 20 || !*asking->is_over); i++)
        asking->agrees = kit_agrees(asking->kit, asking->model, KIT_START_MS + i % 5 * 600000,
                                    until_ms, asking->why, sizeof asking->why);
    return NULL;
}

static void many_ask_the_same_while_files_come(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct model later = {0};
    struct asking asking[3];
    pthread_t threads[3];
    _Atomic bool is_over = false;
    start(&kit, &model);
    for (size_t i = 0; i < 3; i++) {
        asking[i] =
            (struct asking){.kit = &kit, .model = &model, .is_over = &is_over, .agrees = true};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &asking[i]), 0);
    }
    for (int64_t i = 2; i < 6; i++) {
        kit.now_ms = KIT_START_MS + (i + 1) * SPAN_MS;
        kit_run(&kit, &later, 1, KIT_START_MS + i * SPAN_MS, KIT_START_MS + (i + 1) * SPAN_MS,
                4);
        (void)store_settle(kit.store);
    }
    is_over = true;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (!asking[i].agrees)
            fail_msg("%s", asking[i].why);
    }
    model_done(&model);
    model_done(&later);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_often_is_kept_and_the_same),
        cmocka_unit_test(series_of_the_same_times_share_them),
        cmocka_unit_test(an_answer_lives_as_long_as_its_arena),
        cmocka_unit_test(a_run_counts_as_memory_of_who_asks),
        cmocka_unit_test(a_run_counts_while_it_is_made),
        cmocka_unit_test(what_stands_beside_a_run_is_told),
        cmocka_unit_test(a_silent_series_ends_beside_a_run),
        cmocka_unit_test(the_least_recently_used_run_goes),
        cmocka_unit_test(what_is_wanted_twice_is_joined_unless_it_is_refused),
        cmocka_unit_test(other_matchers_select_other_series),
        cmocka_unit_test(a_selection_answers_its_own_question),
        cmocka_unit_test(what_is_kept_of_a_damaged_file_is_not_told),
        cmocka_unit_test(a_file_that_is_lost_has_not_been_read),
        cmocka_unit_test(many_ask_the_same_while_files_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
