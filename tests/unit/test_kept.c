/*
 * test_kept.c - what questions that are asked again find in the cache: the series they select,
 * and chunks as they were decoded.  An answer must not tell.
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
#include "collector/store/kept_chunk.h"
#include "collector/store/parts.h"
#include "collector/store/selection.h"
#include "collector/store/span_parts.h"
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define DAY_MS  (12 * SPAN_MS)
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

/* How many of the series of all files are kept decoded. */
static size_t count_kept(struct kit *kit)
{
    struct group_cache *groups = span_set_groups(kit->store->spans);
    struct span **spans;
    size_t count = 0;
    size_t kept = 0;
    assert_int_equal(span_set_acquire(kit->store->spans, ALWAYS, &spans, &count), 0);
    for (size_t i = 0; i < count; i++)
        for (uint32_t ordinal = 0; ordinal < SERIES; ordinal++) {
            struct kept_chunk chunk;
            struct cached_group *cached = kept_chunk_find(
                groups, span_info_of(spans[i])->manifest.generation, ordinal, &chunk);
            kept += cached != NULL;
            group_cache_release(groups, cached);
        }
    span_set_release(kit->store->spans, spans, count);
    return kept;
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
    assert_int_equal(count_kept(&kit), 2 * SERIES);
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

static void chunks_that_are_long_are_not_kept(void **state)
{
    (void)state;
    const int64_t day = KIT_START_MS - KIT_START_MS % DAY_MS;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    kit.now_ms = day + DAY_MS + SPAN_MS;
    for (unsigned n = 0; n < SERIES; n++)
        kit_run(&kit, &model, n, day, day + 2 * SPAN_MS, NAN);
    assert_int_equal(store_settle(kit.store), 0);
    expect_often(&kit, &model);
    assert_int_equal(count_kept(&kit), 0);
    model_done(&model);
    kit_stop(&kit);
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
    assert_int_equal(count_kept(&kit), 2 * SERIES);
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
        cmocka_unit_test(chunks_that_are_long_are_not_kept),
        cmocka_unit_test(other_matchers_select_other_series),
        cmocka_unit_test(a_selection_answers_its_own_question),
        cmocka_unit_test(what_is_kept_of_a_damaged_file_is_not_told),
        cmocka_unit_test(a_file_that_is_lost_has_not_been_read),
        cmocka_unit_test(many_ask_the_same_while_files_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
