/*
 * test_slow_patterns.c - regular expressions that take too long: what ended the question is told as
 * what it was, a pattern is blamed only where it was the cause, and no memory stays behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "collector/store/select_watch.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define VALUES  40
#define VALUE_X 200

/* It meets its limit at the first value; backtracking and all ways at once are both too much. */
#define HOPELESS "(x{1,30}){1,33}[yz]"
/* It is noticed at the first value, and answered all the same. */
#define SLOW  "(x+x+)+[yz]|x+-[0-9]+"
#define BLAME "the regular expression \"" HOPELESS "\" takes too long"

static struct kit kit;

static int fill_store(void **state)
{
    (void)state;
    kit_start(&kit);
    for (unsigned i = 0; i < VALUES; i++) {
        char value[VALUE_X + 16];
        memset(value, 'x', VALUE_X);
        (void)snprintf(value + VALUE_X, 16, "-%u", i);
        const struct labels *labels = kit_labels("m", value);
        struct series *series;
        assert_int_equal(store_series_resolve(kit.store, labels, NULL, &series), 0);
        const struct store_sample sample = {series, KIT_START_MS, 1};
        struct store_write write = {.samples = &sample, .sample_count = 1};
        assert_int_equal(store_write_wait(kit.store, &write), 0);
        store_series_release(kit.store, series);
        labels_free(labels);
    }
    return 0;
}

static int empty_store(void **state)
{
    (void)state;
    kit_stop(&kit);
    return 0;
}

enum question { SELECT, NAMES, LABEL_VALUES, QUESTIONS };

/* Asks for what the pattern means, with so much memory; all of it is given back. */
static int ask(enum question question, const char *pattern, struct query_budget *budget,
               size_t memory, struct diagnosis *why)
{
    const struct select_hints hints = {.from_ms = KIT_START_MS - 1000,
                                       .until_ms = KIT_START_MS + 1000};
    struct queryable *store = store_queryable(kit.store);
    struct arena_total total = {.limit_bytes = (size_t)1 << 30};
    struct matcher *matcher;
    struct querier *querier;
    struct series_samples *series;
    struct bytes *texts;
    struct arena arena;
    size_t count;
    *why = (struct diagnosis){0};
    arena_init(&arena, memory);
    arena.total = &total;
    assert_int_equal(matcher_new(MATCH_REGEX, bytes_of("n"), bytes_of(pattern), &matcher, why),
                     0);
    assert_int_equal(store->calls->open(store, hints.from_ms, hints.until_ms, &querier, why), 0);
    int error = question == SELECT
                    ? store->calls->select(querier, &matcher, 1, &hints, budget, &arena, &series,
                                           &count, why)
                : question == NAMES
                    ? store->calls->label_names(querier, &matcher, 1, budget, &arena, &texts,
                                                &count, why)
                    : store->calls->label_values(querier, bytes_of("n"), &matcher, 1, budget,
                                                 &arena, &texts, &count, why);
    if (error == 0)
        assert_int_equal(count, question == NAMES ? 3 : VALUES);
    store->calls->close(querier);
    matcher_free(matcher);
    assert_int_equal(total.held_bytes, arena.held_bytes);
    arena_reset(&arena);
    assert_int_equal(total.held_bytes, 0);
    return error;
}

static void a_slow_pattern_is_answered(void **state)
{
    (void)state;
    for (enum question question = SELECT; question < QUESTIONS; question++) {
        struct query_budget budget = {.samples_left = 1000,
                                      .deadline_mono_ns = INT64_MAX};
        struct diagnosis why;
        assert_int_equal(ask(question, SLOW, &budget, 1 << 20, &why), 0);
    }
}

static void a_pattern_that_was_the_cause_is_named(void **state)
{
    (void)state;
    for (enum question question = SELECT; question < QUESTIONS; question++) {
        struct query_budget budget = {.samples_left = 1000};
        struct diagnosis why;
        assert_int_equal(ask(question, HOPELESS, &budget, 1 << 20, &why), ERR_LIMIT);
        assert_string_equal(why.text, BLAME);
    }
}

/* However slow the pattern was: here memory, or samples, were too few. */
static void another_limit_names_no_pattern(void **state)
{
    (void)state;
    static const char text[] = "the query needs more samples or memory than allowed";
    struct query_budget none = {.samples_left = 1};
    struct diagnosis why;
    assert_int_equal(ask(SELECT, SLOW, &none, 1 << 20, &why), ERR_LIMIT);
    assert_string_equal(why.text, text);
    for (enum question question = SELECT; question < QUESTIONS; question++) {
        struct query_budget budget = {.samples_left = 1000};
        assert_int_equal(ask(question, SLOW, &budget, 16, &why), ERR_LIMIT);
        assert_string_equal(why.text, text);
    }
}

static void who_hung_up_or_is_out_of_time_is_told_so(void **state)
{
    (void)state;
    volatile bool cancelled = true;
    for (enum question question = SELECT; question < QUESTIONS; question++) {
        struct query_budget gone = {.samples_left = 1000, .cancelled = &cancelled};
        struct query_budget late = {.samples_left = 1000, .deadline_mono_ns = 1};
        struct diagnosis why;
        assert_int_equal(ask(question, SLOW, &gone, 1 << 20, &why), ERR_CANCELLED);
        assert_string_equal(why.text, "the query was cancelled");
        assert_int_equal(ask(question, SLOW, &late, 1 << 20, &why), ERR_TIMEOUT);
        assert_string_equal(why.text, "the query timed out");
    }
}

/* Nothing is slow here, and the end is met all the same: in the head, and in a file. */
static void a_plain_question_ends_too(void **state)
{
    (void)state;
    volatile bool cancelled = true;
    for (unsigned place = 0; place < 2; place++) {
        for (enum question question = SELECT; question < QUESTIONS; question++) {
            struct query_budget gone = {.samples_left = 1000, .cancelled = &cancelled};
            struct query_budget late = {.samples_left = 1000, .deadline_mono_ns = 1};
            struct query_budget enough = {.samples_left = 1000, .deadline_mono_ns = INT64_MAX};
            struct diagnosis why;
            assert_int_equal(ask(question, "x.*", &gone, 1 << 20, &why), ERR_CANCELLED);
            assert_int_equal(ask(question, "x.*", &late, 1 << 20, &why), ERR_TIMEOUT);
            assert_int_equal(ask(question, "x.*", &enough, 1 << 20, &why), 0);
        }
        assert_int_equal(store_settle(kit.store), 0);
    }
}

/* Once a pattern's time is over, the question's own end comes before it. */
static void a_watch_blames_the_pattern_last(void **state)
{
    (void)state;
    volatile bool cancelled = false;
    struct matcher *matcher;
    bool matches;
    char value[VALUE_X + 1] = "";
    memset(value, 'x', VALUE_X);
    assert_int_equal(matcher_new(MATCH_REGEX, bytes_of("n"), bytes_of(SLOW), &matcher, NULL), 0);
    const struct query_budget budget = {.cancelled = &cancelled};
    struct select_watch watch;
    select_watch_init(&watch, &budget, NULL);
    assert_int_equal(select_watch_match(&watch, matcher, bytes_of(value), &matches), 0);
    assert_true(matcher_is_slow(matcher));
    watch.slow_ns = SLOW_NS_MAX;
    assert_int_equal(select_watch_match(&watch, matcher, bytes_of(value + 1), &matches),
                     ERR_LIMIT);
    assert_ptr_equal(watch.too_slow, matcher);
    watch.too_slow = NULL;
    cancelled = true;
    assert_int_equal(select_watch_match(&watch, matcher, bytes_of(value + 2), &matches),
                     ERR_CANCELLED);
    cancelled = false;
    watch.deadline_mono_ns = 1;
    assert_int_equal(select_watch_match(&watch, matcher, bytes_of(value + 3), &matches),
                     ERR_TIMEOUT);
    assert_null(watch.too_slow);
    select_watch_done(&watch);
    matcher_free(matcher);
}

static void a_query_says_what_it_was_and_gives_its_memory_back(void **state)
{
    (void)state;
    static volatile bool cancelled = true;
    static const struct {
        const char *text;
        volatile bool *cancelled;
        int64_t deadline_mono_ns;
        enum promql_failure failure;
        const char *why;
    } cases[] = {
        {"m{n=~'" HOPELESS "'}", NULL, 0, PROMQL_EXECUTION, BLAME},
        {"sum(rate(m{n=~'" HOPELESS "'}[1m])) + m", NULL, 0, PROMQL_EXECUTION, BLAME},
        {"m{n=~'" SLOW "'}", &cancelled, 0, PROMQL_CANCELLED,
         "query was canceled in query execution"},
        {"m{n=~'" SLOW "'}", NULL, 1, PROMQL_TIMEOUT, "query timed out in query execution"},
        {"label_replace(m, 'a', '$1', 'n', '" HOPELESS "')", NULL, 0, PROMQL_EXECUTION,
         "the regular expression of label_replace() took too long"},
        {"m{n=~'" SLOW "'}", NULL, 0, PROMQL_OK, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena_total total = {.limit_bytes = (size_t)1 << 30};
        const struct promql_options options = {.lookback_ms = 300000,
                                               .default_step_ms = 60000,
                                               .max_samples = 1000,
                                               .total = &total};
        const struct promql_query query = {.text = cases[i].text,
                                           .start_ms = KIT_START_MS + 1000,
                                           .end_ms = KIT_START_MS + 1000,
                                           .cancelled = cases[i].cancelled,
                                           .deadline_mono_ns = cases[i].deadline_mono_ns};
        struct promql_result result;
        struct promql_error error;
        int code = promql_run(&options, store_queryable(kit.store), &query, &result, &error);
        assert_int_equal(code == 0, cases[i].why == NULL);
        assert_int_equal(error.failure, cases[i].failure);
        if (code == 0)
            promql_result_done(&result);
        else
            assert_string_equal(error.why.text, cases[i].why);
        assert_int_equal(total.held_bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_pattern_is_answered),
        cmocka_unit_test(a_pattern_that_was_the_cause_is_named),
        cmocka_unit_test(another_limit_names_no_pattern),
        cmocka_unit_test(who_hung_up_or_is_out_of_time_is_told_so),
        cmocka_unit_test(a_watch_blames_the_pattern_last),
        cmocka_unit_test(a_query_says_what_it_was_and_gives_its_memory_back),
        cmocka_unit_test(a_plain_question_ends_too), /* the last: it empties the head */
    };
    return cmocka_run_group_tests(tests, fill_store, empty_store);
}
