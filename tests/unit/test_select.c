/*
 * test_select.c - what a select leaves out or lets helpers do changes nothing that is asked
 * for.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/series/crew.h"
#include "collector/store/select_watch.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define SERIES  64U
#define STEPS   700
#define END_MS  (KIT_START_MS + STEPS * KIT_STEP_MS)
#define HALF_MS (KIT_START_MS + STEPS / 2 * KIT_STEP_MS)

static struct kit kit;

/* Half of it in a history file, half in the head, some of it late and some deleted. */
static int fill_store(void **state)
{
    struct model model = {0};
    (void)state;
    kit_start(&kit);
    for (unsigned n = 0; n < SERIES; n++)
        kit_run(&kit, &model, n, KIT_START_MS + n, HALF_MS, (double)NAN);
    assert_int_equal(store_settle(kit.store), 0);
    for (unsigned n = 0; n < SERIES; n++) {
        kit_run(&kit, &model, n, HALF_MS + n % 7 * 1000, END_MS, (double)NAN);
        if (n % 5 == 0)
            kit_run(&kit, &model, n, KIT_START_MS + 6001, KIT_START_MS + 900000, 42);
    }
    kit_delete_both(&kit, &model, 3, KIT_START_MS, KIT_START_MS + 1000000);
    model_done(&model);
    return 0;
}

static int empty_store(void **state)
{
    (void)state;
    kit_stop(&kit);
    return 0;
}

static int select_all(const struct select_hints *hints, struct query_budget *budget,
                      struct arena *arena, struct series_samples **ret_series,
                      size_t *ret_count)
{
    struct queryable *queryable = store_queryable(kit.store);
    struct querier *querier;
    struct matcher *matcher;
    struct diagnosis why = {""};
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why), 0);
    assert_int_equal(
        queryable->calls->open(queryable, hints->from_ms, hints->until_ms, &querier, &why), 0);
    int error = queryable->calls->select(querier, &matcher, 1, hints, budget, arena, ret_series,
                                         ret_count, &why);
    queryable->calls->close(querier);
    matcher_free(matcher);
    return error;
}

static void helpers_change_nothing(void **state)
{
    (void)state;
    const struct select_hints hints = {.from_ms = KIT_START_MS, .until_ms = END_MS};
    struct crew *crew = NULL;
    struct query_budget alone = {.samples_left = 1000000};
    struct query_budget helped = {.samples_left = 1000000};
    struct series_samples *a;
    struct series_samples *b;
    struct arena arena;
    size_t a_count;
    size_t b_count;
    assert_int_equal(crew_open("helpers", 3, &crew), 0);
    helped.crew = crew;
    arena_init(&arena, (size_t)1 << 30);
    assert_int_equal(select_all(&hints, &alone, &arena, &a, &a_count), 0);
    assert_int_equal(select_all(&hints, &helped, &arena, &b, &b_count), 0);
    assert_int_equal(a_count, SERIES);
    assert_int_equal(b_count, SERIES);
    for (size_t i = 0; i < SERIES; i++) {
        assert_true(labels_equal(a[i].labels, b[i].labels));
        assert_int_equal(a[i].count, b[i].count);
        assert_memory_equal(a[i].times_ms, b[i].times_ms, a[i].count * sizeof *a[i].times_ms);
        assert_memory_equal(a[i].values, b[i].values, a[i].count * sizeof *a[i].values);
    }
    assert_int_equal(alone.samples_left, helped.samples_left);
    assert_int_equal(alone.samples_seen, helped.samples_seen);
    assert_int_equal(alone.chunks_seen, helped.chunks_seen);
    assert_true(alone.samples_seen > 40000); /* enough to be shared */
    helped.samples_left = alone.samples_seen - 1;
    assert_int_equal(select_all(&hints, &helped, &arena, &b, &b_count), ERR_LIMIT);
    arena_reset(&arena);
    crew_close(crew);
}

static void a_select_keeps_within_its_arena(void **state)
{
    (void)state;
    const struct select_hints hints = {.from_ms = KIT_START_MS, .until_ms = END_MS};
    struct arena_total total = {.limit_bytes = (size_t)1 << 30};
    struct crew *crew = NULL;
    size_t failed = 0;
    assert_int_equal(crew_open("helpers", 2, &crew), 0);
    for (size_t limit = 4096; limit < (size_t)4 << 20; limit = limit * 3 / 2) {
        struct query_budget budget = {.samples_left = 1000000, .crew = limit % 2 ? crew : NULL};
        struct series_samples *series;
        struct arena arena;
        size_t count;
        arena_init(&arena, limit);
        arena.total = &total;
        int error = select_all(&hints, &budget, &arena, &series, &count);
        assert_true(error == 0 || error == ERR_LIMIT);
        assert_int_equal(arena.limit_bytes, limit);
        assert_int_equal(total.held_bytes, arena.held_bytes);
        failed += error != 0;
        arena_reset(&arena);
    }
    assert_true(failed > 3);
    crew_close(crew);
}

/* The newest at or before a time; -1 if there is none. */
static int64_t newest(const struct series_samples *series, int64_t ms)
{
    int64_t found = -1;
    for (size_t i = 0; i < series->count && series->times_ms[i] <= ms; i++)
        found = (int64_t)i;
    return found;
}

static void the_newest_of_each_step_are_all_that_is_asked_for(void **state)
{
    (void)state;
    unsigned random = 1;
    for (int round = 0; round < 30; round++) {
        struct select_hints all = {.from_ms = KIT_START_MS + rand_r(&random) % 1000000,
                                   .until_ms = END_MS - rand_r(&random) % 1000000};
        struct select_hints some = all;
        struct query_budget budget = {.samples_left = 10000000};
        struct series_samples *full;
        struct series_samples *thin;
        struct arena arena;
        size_t count;
        size_t thin_count;
        some.newest_at_ms = all.from_ms + rand_r(&random) % 300000;
        some.newest_step_ms = 1 + rand_r(&random) % (round % 3 == 0 ? 20000 : 900000);
        some.newest_count =
            round % 5 == 0
                ? 1
                : 1 + (size_t)((all.until_ms - some.newest_at_ms) / some.newest_step_ms);
        arena_init(&arena, (size_t)1 << 30);
        assert_int_equal(select_all(&all, &budget, &arena, &full, &count), 0);
        assert_int_equal(select_all(&some, &budget, &arena, &thin, &thin_count), 0);
        assert_int_equal(count, thin_count);
        for (size_t i = 0; i < count; i++) {
            assert_true(thin[i].count <= some.newest_count + 1);
            assert_int_equal(thin[i].times_ms[thin[i].count - 1],
                             full[i].times_ms[full[i].count - 1]);
            for (size_t step = 0; step < some.newest_count; step++) {
                int64_t ms = some.newest_at_ms + (int64_t)step * some.newest_step_ms;
                int64_t a = newest(&full[i], ms);
                int64_t b = newest(&thin[i], ms);
                assert_int_equal(a < 0, b < 0);
                if (a >= 0)
                    assert_true(
                        full[i].times_ms[a] == thin[i].times_ms[b] &&
                        memcmp(&full[i].values[a], &thin[i].values[b], sizeof(double)) == 0);
            }
        }
        arena_reset(&arena);
    }
}

static void assert_same_series(const struct series_samples *a, const struct series_samples *b)
{
    assert_true(labels_equal(a->labels, b->labels));
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->times_ms, b->times_ms, a->count * sizeof *a->times_ms);
    assert_memory_equal(a->values, b->values, a->count * sizeof *a->values);
    assert_int_equal(a->no_markers, b->no_markers);
    assert_int_equal(a->interval_ms, b->interval_ms);
    for (size_t i = 1; i < a->count && a->interval_ms != 0; i++)
        assert_int_equal(a->times_ms[i] - a->times_ms[i - 1], a->interval_ms);
}

/* Reads all series in turn at two places; how many have an interval. */
static size_t read_all(const struct select_hints *hints, uint64_t samples_seen,
                       struct arena *arena, const struct series_samples *expected, size_t count)
{
    struct queryable *queryable = store_queryable(kit.store);
    const struct queryable_calls *calls = queryable->calls;
    struct unread_place *places[2] = {NULL, NULL};
    struct query_budget budgets[2] = {{.samples_left = 1000000}, {.samples_left = 1000000}};
    struct series_samples *ignored;
    struct unread *unread = NULL;
    struct querier *querier;
    struct matcher *matcher;
    struct diagnosis why = {""};
    size_t ignored_count, found = 0, steady = 0;
    const size_t limit_bytes = arena->limit_bytes;
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why), 0);
    assert_int_equal(calls->open(queryable, hints->from_ms, hints->until_ms, &querier, &why), 0);
    assert_int_equal(calls->find(querier, &matcher, 1, hints, &budgets[0], arena, &unread, &ignored,
                                 &ignored_count, &why),
                     0);
    assert_non_null(unread);
    for (size_t i = 0; i < unread->count; i++) {
        struct series_samples samples;
        assert_int_equal(calls->read(unread, i, &places[i % 2], &budgets[i % 2], &samples), 0);
        if (samples.count == 0)
            continue;
        assert_true(found < count);
        assert_same_series(&samples, &expected[found++]);
        steady += samples.interval_ms != 0;
    }
    assert_int_equal(found, count);
    assert_int_equal(budgets[0].samples_seen + budgets[1].samples_seen, samples_seen);
    calls->leave(places[0]);
    calls->leave(places[1]);
    assert_int_equal(calls->end(unread, ERR_LIMIT, &why), ERR_LIMIT);
    assert_string_equal(why.text, "the query needs more samples or memory than allowed");
    assert_int_equal(arena->limit_bytes, limit_bytes);
    calls->close(querier);
    matcher_free(matcher);
    return steady;
}

static void what_is_read_one_by_one_is_what_is_selected(void **state)
{
    (void)state;
    const struct select_hints cases[] = {
        {.from_ms = KIT_START_MS, .until_ms = END_MS},
        {.from_ms = KIT_START_MS + 1000000, .until_ms = HALF_MS - 1},
        {.from_ms = KIT_START_MS + 500, .until_ms = KIT_START_MS + 400000},
        {.from_ms = END_MS - 100, .until_ms = END_MS},
        {.from_ms = KIT_START_MS, .until_ms = END_MS, .no_values = true},
        {.from_ms = KIT_START_MS,
         .until_ms = END_MS,
         .newest_at_ms = KIT_START_MS,
         .newest_step_ms = 60000,
         .newest_count = 100},
    };
    size_t steady = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query_budget budget = {.samples_left = 1000000};
        struct series_samples *series;
        struct arena arena;
        size_t count;
        arena_init(&arena, (size_t)1 << 30);
        assert_int_equal(select_all(&cases[i], &budget, &arena, &series, &count), 0);
        steady += read_all(&cases[i], budget.samples_seen, &arena, series, count);
        arena_reset(&arena);
    }
    assert_true(steady > SERIES / 2); /* most of what lies in one file */
}

/* A look at a series is a copy of it for each thread that looks. */
static void what_threads_look_at_counts(void **state)
{
    (void)state;
    const struct select_hints hints = {.from_ms = KIT_START_MS, .until_ms = END_MS};
    struct arena_total total = {.limit_bytes = (size_t)64 << 20};
    struct queryable *queryable = store_queryable(kit.store);
    const struct queryable_calls *calls = queryable->calls;
    struct unread_place *places[2] = {NULL, NULL};
    struct query_budget budget = {.samples_left = 1000000};
    struct series_samples samples;
    struct unread *unread = NULL;
    struct querier *querier;
    struct matcher *matcher;
    struct arena arena;
    struct diagnosis why = {""};
    size_t ignored;
    arena_init(&arena, (size_t)64 << 20);
    arena.total = &total;
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, &why), 0);
    assert_int_equal(calls->open(queryable, hints.from_ms, hints.until_ms, &querier, &why), 0);
    assert_int_equal(calls->find(querier, &matcher, 1, &hints, &budget, &arena, &unread,
                                 &(struct series_samples *){NULL}, &ignored, &why),
                     0);
    assert_non_null(unread);
    const size_t found = total.held_bytes;
    for (size_t i = 0; i < 2; i++) {
        const size_t before = total.held_bytes;
        assert_int_equal(calls->read(unread, 1, &places[i], &budget, &samples), 0);
        assert_true(samples.count > STEPS / 2);
        assert_true(total.held_bytes >= before + samples.count * 2 * sizeof(double));
    }
    calls->leave(places[0]);
    calls->leave(places[1]);
    assert_int_equal(total.held_bytes, found);
    /* Where nothing is left, that is what it was. */
    places[0] = NULL;
    assert_true(arena_total_hold(&total, total.limit_bytes - found - 1000));
    assert_int_equal(calls->read(unread, 1, &places[0], &budget, &samples), ERR_LIMIT);
    calls->leave(places[0]);
    assert_false(arena.total_refused);
    assert_int_equal(calls->end(unread, ERR_LIMIT, &why), ERR_LIMIT);
    assert_true(arena.total_refused);
    arena_total_release(&total, total.limit_bytes - found - 1000);
    calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
    assert_int_equal(total.held_bytes, 0);
}

/* What ends a select is told by what it was; and who hangs up is heard between two values. */
static void a_watch_hears_a_hangup(void **state)
{
    volatile bool cancelled = false;
    struct select_watch watch = {.cancelled = &cancelled};
    struct matcher *matcher = NULL;
    bool matches = true;
    (void)state;
    assert_int_equal(
        matcher_new(MATCH_REGEX, bytes_of("a"), bytes_of("x[0-9]+y"), &matcher, NULL), 0);
    assert_int_equal(select_watch_match(&watch, matcher, bytes_of("x1y"), &matches), 0);
    assert_true(matches);
    assert_int_equal(select_watch_match(&watch, matcher, bytes_of("x1z"), &matches), 0);
    assert_false(matches);
    cancelled = true;
    int error = 0;
    for (int i = 0; i < 1000 && error == 0; i++)
        error = select_watch_match(&watch, matcher, bytes_of("x1y"), &matches);
    assert_int_equal(error, ERR_CANCELLED);
    assert_null(watch.too_slow);
    select_watch_done(&watch);
    matcher_free(matcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helpers_change_nothing),
        cmocka_unit_test(a_select_keeps_within_its_arena),
        cmocka_unit_test(the_newest_of_each_step_are_all_that_is_asked_for),
        cmocka_unit_test(what_is_read_one_by_one_is_what_is_selected),
        cmocka_unit_test(what_threads_look_at_counts),
        cmocka_unit_test(a_watch_hears_a_hangup),
    };
    return cmocka_run_group_tests(tests, fill_store, empty_store);
}
