/*
 * test_value_lists.c - lists of label values: equal ones once, bounded, gone with their file; and
 * answers about names and values that stay exact while files come, are rewritten, merged and expire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/series/matcher.h"
#include "collector/store/parts.h"
#include "collector/store/span_set.h"
#include "collector/store/text_set.h"
#include "collector/store/value_lists.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define DAY_MS  (12 * SPAN_MS)
#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2

/* -- the set ----------------------------------------------------------------------------- */

static void a_text_is_once_in_a_set_and_sorted_at_the_end(void **state)
{
    (void)state;
    struct arena arena;
    struct bytes *items;
    size_t count;
    char text[32];
    arena_init(&arena, (size_t)1 << 20);
    struct text_set set = {.arena = &arena};
    assert_false(text_set_has(&set, bytes_of("")));
    assert_int_equal(text_set_add(&set, bytes_of("")), 0);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(text, sizeof text, "%04u", (i * 7919) % 1000);
        assert_int_equal(text_set_add(&set, bytes_of(text)), 0);
        assert_true(text_set_has(&set, bytes_of(text)));
    }
    assert_false(text_set_has(&set, bytes_of("1000")));
    assert_int_equal(text_set_sorted(&set, &items, &count), 0);
    assert_int_equal(count, 1001);
    assert_int_equal(items[0].size, 0);
    for (size_t i = 1; i < count; i++) {
        (void)snprintf(text, sizeof text, "%04zu", i - 1);
        assert_true(bytes_equal(items[i], bytes_of(text)));
    }
    text_set_done(&set);
    arena_reset(&arena);
}

static void a_set_ends_where_its_arena_does(void **state)
{
    (void)state;
    struct arena arena;
    char text[16];
    int error = 0;
    arena_init(&arena, 8192);
    struct text_set set = {.arena = &arena};
    for (unsigned i = 0; i < 2000 && error == 0; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        error = text_set_add(&set, bytes_of(text));
    }
    assert_int_equal(error, ERR_LIMIT);
    text_set_done(&set);
    arena_reset(&arena);
}

/* The room for finding texts counts as the texts do. */
static void a_set_s_room_is_counted(void **state)
{
    (void)state;
    struct arena_total total = {.limit_bytes = 24 << 10};
    struct arena arena;
    char text[16];
    int error = 0;
    unsigned count = 0;
    arena_init(&arena, (size_t)1 << 20);
    arena.total = &total;
    struct text_set set = {.arena = &arena};
    for (; count < 5000 && error == 0; count++) {
        (void)snprintf(text, sizeof text, "%u", count);
        error = text_set_add(&set, bytes_of(text));
        assert_true(total.held_bytes >= arena.held_bytes + set.capacity * sizeof *set.items);
    }
    assert_int_equal(error, ERR_LIMIT);
    assert_true(arena.total_refused);
    assert_true(arena.held_bytes < 16 << 10); /* it was not the texts alone */
    text_set_done(&set);
    assert_int_equal(total.held_bytes, arena.held_bytes);
    arena_reset(&arena);
    assert_int_equal(total.held_bytes, 0);
}

/* What files bring is in order, what was there before is not. */
static void a_set_ends_with_a_run_or_without(void **state)
{
    (void)state;
    for (unsigned scattered = 0; scattered <= 5; scattered++) {
        struct arena arena;
        struct bytes *items;
        size_t count;
        char text[32];
        arena_init(&arena, (size_t)1 << 20);
        struct text_set set = {.arena = &arena};
        for (unsigned i = 0; i < scattered; i++) {
            (void)snprintf(text, sizeof text, "%02u", (i * 7 + 3) % 10 * 2);
            assert_int_equal(text_set_add(&set, bytes_of(text)), 0);
        }
        for (unsigned i = 0; i < 20; i++) {
            (void)snprintf(text, sizeof text, "%02u", i);
            assert_int_equal(text_set_add(&set, bytes_of(text)), 0);
        }
        assert_int_equal(text_set_sorted(&set, &items, &count), 0);
        assert_int_equal(count, 20);
        for (size_t i = 0; i < count; i++) {
            (void)snprintf(text, sizeof text, "%02zu", i);
            assert_true(bytes_equal(items[i], bytes_of(text)));
        }
        text_set_done(&set);
        arena_reset(&arena);
    }
}

/* -- the lists --------------------------------------------------------------------------- */

static struct value_list *put(struct value_lists *lists, uint64_t generation, const char *texts)
{
    return value_lists_put(lists, generation, bytes_of("pod"), bytes_of(texts));
}

static void lists_that_are_equal_are_one(void **state)
{
    (void)state;
    struct value_lists *lists;
    size_t count;
    size_t entries;
    size_t bytes;
    assert_int_equal(value_lists_new(10000, &lists), 0);
    struct value_list *first = put(lists, 1, "abc");
    struct value_list *second = put(lists, 2, "abc");
    struct value_list *other = put(lists, 3, "abd");
    struct value_list *empty = put(lists, 4, "");
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, other);
    assert_non_null(empty);
    assert_int_equal(value_list_texts(empty).size, 0);
    value_lists_sum(lists, &count, &entries, &bytes);
    assert_int_equal(count, 3);
    assert_int_equal(entries, 4);
    struct value_list *found = value_lists_find(lists, 2, bytes_of("pod"));
    assert_ptr_equal(found, first);
    assert_null(value_lists_find(lists, 2, bytes_of("po")));
    assert_null(value_lists_find(lists, 5, bytes_of("pod")));
    value_lists_release(lists, found);
    value_lists_release(lists, second);
    value_lists_release(lists, other);
    value_lists_release(lists, empty);

    /* The files go, the list stays for whoever holds it. */
    value_lists_forget(lists, 1);
    value_lists_forget(lists, 2);
    assert_null(value_lists_find(lists, 2, bytes_of("pod")));
    assert_true(bytes_equal(value_list_texts(first), bytes_of("abc")));
    value_lists_release(lists, first);
    value_lists_sum(lists, &count, &entries, &bytes);
    assert_int_equal(count, 2);
    assert_int_equal(entries, 2);
    value_lists_free(lists);
}

static void what_was_not_asked_for_longest_makes_room(void **state)
{
    (void)state;
    struct value_lists *lists;
    char texts[200];
    size_t count;
    size_t entries;
    size_t bytes;
    assert_int_equal(value_lists_new(4000, &lists), 0);
    memset(texts, 'x', sizeof texts);
    texts[sizeof texts - 1] = '\0';
    for (uint64_t i = 1; i <= 100; i++) {
        (void)snprintf(texts, 8, "%07u", (unsigned)i);
        texts[7] = 'x';
        value_lists_release(lists, put(lists, i, texts));
        value_lists_release(lists, value_lists_find(lists, 1, bytes_of("pod")));
        value_lists_sum(lists, &count, &entries, &bytes);
        assert_true(bytes <= 4000);
    }
    assert_true(entries > 5 && count == entries);
    struct value_list *kept = value_lists_find(lists, 1, bytes_of("pod"));
    assert_non_null(kept);
    value_lists_release(lists, kept);
    assert_null(value_lists_find(lists, 50, bytes_of("pod")));
    char large[1100];
    memset(large, 'y', sizeof large);
    assert_null(value_lists_put(lists, 7, bytes_of("pod"), (struct bytes){(uint8_t *)large, sizeof large}));
    value_lists_free(lists);
}

/* -- answers ----------------------------------------------------------------------------- */

static bool was_at_hand; /* what was asked for last */

/* The values of `n`, or the names of labels, as one text; at once, where they are at hand. */
static const char *ask(struct kit *kit, bool names, struct matcher *matcher, int64_t from_ms,
                       int64_t until_ms)
{
    static char told[2048];
    struct queryable *queryable = store_queryable(kit->store);
    struct querier *querier;
    struct arena arena;
    struct diagnosis why = {0};
    struct bytes *items;
    size_t count;
    size_t at = 0;
    arena_init(&arena, (size_t)1 << 24);
    assert_int_equal(queryable->calls->open(queryable, from_ms, until_ms, &querier, &why), 0);
    const size_t matchers = matcher != NULL;
    int error = ERR_AGAIN;
    for (unsigned turn = 0; turn < 2 && error == ERR_AGAIN; turn++) {
        const struct query_budget budget = {.samples_left = UINT64_MAX, .at_hand = turn == 0};
        was_at_hand = budget.at_hand;
        error = names ? queryable->calls->label_names(querier, &matcher, matchers, &budget, &arena,
                                                      &items, &count, &why)
                      : queryable->calls->label_values(querier, bytes_of("n"), &matcher, matchers,
                                                       &budget, &arena, &items, &count, &why);
    }
    assert_int_equal(error, 0);
    told[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(told + at, sizeof told - at, "%s%.*s", i > 0 ? " " : "",
                               (int)items[i].size, (const char *)items[i].data);
    queryable->calls->close(querier);
    arena_reset(&arena);
    return told;
}

/* Twice: the second time from what is kept. */
static void expect(struct kit *kit, const char *wanted, int64_t from_ms, int64_t until_ms)
{
    struct matcher *matcher;
    assert_int_equal(
        matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matcher, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_string_equal(ask(kit, false, NULL, from_ms, until_ms), wanted);
        assert_true(was_at_hand || i == 0);
        assert_string_equal(ask(kit, false, matcher, from_ms, until_ms), wanted);
        assert_false(was_at_hand); /* a matcher looks into the files */
        const char *names = *wanted != '\0' ? "__name__ job n" : "";
        assert_string_equal(ask(kit, true, NULL, from_ms, until_ms), names);
        assert_true(was_at_hand || i == 0);
        assert_string_equal(ask(kit, true, matcher, from_ms, until_ms), names);
    }
    matcher_free(matcher);
}

static void write_span(struct kit *kit, unsigned span, unsigned first, unsigned last)
{
    const int64_t start_ms = KIT_START_MS + (int64_t)span * SPAN_MS;
    kit->now_ms = start_ms + SPAN_MS;
    for (unsigned n = first; n <= last; n++) {
        assert_int_equal(kit_write(kit, n, start_ms + 60000, n), 0);
        assert_int_equal(kit_write(kit, n, start_ms + SPAN_MS / 2, n), 0);
    }
}

/* So that the head lets go of what is in files. */
static void let_go(struct kit *kit)
{
    for (size_t i = 0; i < 256; i++) {
        store_series_release(kit->store, kit->series[i]);
        kit->series[i] = NULL;
    }
    assert_int_equal(store_settle(kit->store), 0);
}

static void answers_are_exact_while_files_come_and_go(void **state)
{
    (void)state;
    struct kit kit;
    size_t lists;
    size_t entries;
    size_t bytes;
    kit_start(&kit);
    kit_close(&kit);
    kit.options.retention_raw_ms = 3 * DAY_MS;
    kit_open(&kit);
    for (unsigned span = 0; span < 6; span++)
        write_span(&kit, span, 1, span == 3 ? 5 : 4); /* one file has a value of its own */
    kit.now_ms = KIT_START_MS + 8 * SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_true(span_set_count(kit.store->spans) >= 2);
    expect(&kit, "1 2 3 4 5", ALWAYS);
    value_lists_sum(span_set_lists(kit.store->spans), &lists, &entries, &bytes);
    assert_true(entries > lists); /* equal ones were found */

    /* A delete makes files anew. */
    assert_int_equal(kit_delete(&kit, 2, ALWAYS), 0);
    assert_int_equal(kit_delete(&kit, 5, ALWAYS), 0);
    assert_int_equal(store_clean_deletes(kit.store), 0);
    let_go(&kit);
    expect(&kit, "1 3 4", ALWAYS);

    /* So does a late sample, and the merging of days. */
    assert_int_equal(kit_write(&kit, 7, KIT_START_MS + 90000, 7), 0);
    expect(&kit, "1 3 4 7", ALWAYS);
    write_span(&kit, 13, 8, 8);
    kit.now_ms = KIT_START_MS + 26 * SPAN_MS;
    assert_int_equal(store_settle_days(kit.store), 0);
    let_go(&kit);
    expect(&kit, "1 3 4 7 8", ALWAYS);
    expect(&kit, "8", KIT_START_MS + DAY_MS, INT64_MAX / 2);

    /* And what has expired is forgotten, with its lists. */
    kit.now_ms = KIT_START_MS + 5 * DAY_MS;
    assert_int_equal(store_settle(kit.store), 0);
    expect(&kit, "", ALWAYS);
    value_lists_sum(span_set_lists(kit.store->spans), &lists, &entries, &bytes);
    assert_int_equal(entries, 0);
    assert_int_equal(bytes, 0);
    kit_stop(&kit);
}

static void matchers_leave_out_what_they_do_not_mean(void **state)
{
    (void)state;
    struct kit kit;
    struct matcher *some;
    struct matcher *none;
    kit_start(&kit);
    for (unsigned span = 0; span < 4; span++)
        write_span(&kit, span, span, span + 3);
    kit.now_ms = KIT_START_MS + 7 * SPAN_MS;
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(matcher_new(MATCH_REGEX, bytes_of("n"), bytes_of("[024]"), &some, NULL), 0);
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of("x"), &none, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(ask(&kit, false, some, ALWAYS), "0 2 4");
        assert_string_equal(ask(&kit, true, some, ALWAYS), "__name__ job n");
        assert_string_equal(ask(&kit, false, none, ALWAYS), "");
        assert_string_equal(ask(&kit, true, none, ALWAYS), "");
        assert_string_equal(ask(&kit, false, NULL, ALWAYS), "0 1 2 3 4 5 6");
    }
    matcher_free(some);
    matcher_free(none);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_once_in_a_set_and_sorted_at_the_end),
        cmocka_unit_test(a_set_ends_where_its_arena_does),
        cmocka_unit_test(a_set_s_room_is_counted),
        cmocka_unit_test(a_set_ends_with_a_run_or_without),
        cmocka_unit_test(lists_that_are_equal_are_one),
        cmocka_unit_test(what_was_not_asked_for_longest_makes_room),
        cmocka_unit_test(answers_are_exact_while_files_come_and_go),
        cmocka_unit_test(matchers_leave_out_what_they_do_not_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
