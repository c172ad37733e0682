/*
 * test_store.c - what the store promises, from the outside.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define ALWAYS INT64_MIN / 2, INT64_MAX / 2

static void what_was_acknowledged_is_in_the_very_next_query(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    for (int i = 0; i < 500; i++) {
        int64_t ts = KIT_START_MS + i * 1000;
        assert_int_equal(kit_write(&kit, (unsigned)i % 3, ts, i), 0);
        model_write(&model, (unsigned)i % 3, ts, i);
        if (i % 50 == 0)
            kit_expect(&kit, &model, ALWAYS);
    }
    kit_expect(&kit, &model, ALWAYS);
    kit_expect(&kit, &model, KIT_START_MS + 77 * 1000, KIT_START_MS + 200 * 1000);
    model_done(&model);
    kit_stop(&kit);
}

static void what_was_acknowledged_survives_a_reopen(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 150; i++) {
            int64_t ts = KIT_START_MS + (round * 150 + i) * 5000;
            assert_int_equal(kit_write(&kit, (unsigned)i % 7, ts, i * 0.5), 0);
            model_write(&model, (unsigned)i % 7, ts, i * 0.5);
        }
        kit_close(&kit);
        kit_open(&kit);
        kit_expect(&kit, &model, ALWAYS);
    }
    model_done(&model);
    kit_stop(&kit);
}

static void values_are_kept_bit_for_bit(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    static const uint64_t bits[] = {
        STALE_NAN_BITS,
        UINT64_C(0x7ff8000000000001),
        UINT64_C(0xfff8000000000123),
        UINT64_C(1) << 63,
        0,
        UINT64_C(1),
        UINT64_C(0x7ff) << 52,
        UINT64_C(0xfff) << 52,
        UINT64_C(0x7fefffffffffffff),
    };
    kit_start(&kit);
    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        double value;
        memcpy(&value, &bits[i], sizeof value);
        assert_int_equal(kit_write(&kit, 0, KIT_START_MS + i, value), 0);
        model_write(&model, 0, KIT_START_MS + i, value);
    }
    kit_expect(&kit, &model, ALWAYS);
    kit_close(&kit);
    kit_open(&kit);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void the_last_write_at_one_time_wins_in_any_order_of_arrival(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    unsigned seed = 7;
    kit_start(&kit);
    for (int i = 0; i < 4000; i++) {
        unsigned n = (unsigned)rand_r(&seed) % 4;
        int64_t ts = KIT_START_MS + rand_r(&seed) % 700 * 1000;
        double value = rand_r(&seed) % 5;
        assert_int_equal(kit_write(&kit, n, ts, value), 0);
        model_write(&model, n, ts, value);
        if (i % 500 == 499)
            kit_expect(&kit, &model, ALWAYS);
    }
    kit_close(&kit);
    kit_open(&kit);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void a_series_keeps_its_id(void **state)
{
    (void)state;
    struct kit kit;
    kit_start(&kit);
    uint64_t ids[200];
    for (unsigned i = 0; i < 200; i++)
        ids[i] = store_series_id(kit_series(&kit, i));
    assert_int_equal(kit_write(&kit, 0, KIT_START_MS, 1), 0);
    kit_close(&kit);
    kit_open(&kit);
    for (unsigned i = 0; i < 200; i++) {
        struct series *series;
        struct labels_room room;
        assert_int_equal(store_series_id(kit_series(&kit, 199 - i)), ids[199 - i]);
        assert_int_equal(store_series_by_id(kit.store, ids[i], &series), 0);
        char text[16];
        (void)snprintf(text, sizeof text, "%u", i);
        assert_true(
            bytes_equal(labels_get_text(store_series_labels(series, &room), "n"), bytes_of(text)));
        store_series_release(kit.store, series);
    }
    struct series *nobody;
    assert_int_equal(store_series_by_id(kit.store, 999999, &nobody), ERR_NOTFOUND);
    kit_stop(&kit);
}

static void matchers_select_as_prometheus_does(void **state)
{
    (void)state;
    struct kit kit;
    static const struct {
        const char *because;
        int kind;
        const char *name, *value;
        size_t count;
    } cases[] = {
        {"equality", MATCH_EQUAL, "n", "7", 1},
        {"no such value", MATCH_EQUAL, "n", "x", 0},
        {"a missing label equals the empty string", MATCH_EQUAL, "zone", "", 20},
        {"inequality", MATCH_NOT_EQUAL, "n", "7", 19},
        {"a missing label differs from any value", MATCH_NOT_EQUAL, "zone", "a", 20},
        {"has the label", MATCH_NOT_EQUAL, "n", "", 20},
        {"does not have it", MATCH_NOT_EQUAL, "zone", "", 0},
        {"literals", MATCH_REGEX, "n", "1|2|99", 2},
        {"prefix", MATCH_REGEX, "n", "1.*", 11},
        {"class", MATCH_REGEX, "n", "[0-4]", 5},
        {"empty allowed", MATCH_REGEX, "zone", ".*", 20},
        {"empty refused", MATCH_REGEX, "zone", ".+", 0},
        {"negated literals", MATCH_NOT_REGEX, "n", "1|2|99", 18},
        {"negated prefix", MATCH_NOT_REGEX, "n", "1.*", 9},
        {"negated empty", MATCH_NOT_REGEX, "n", ".*", 0},
    };
    kit_start(&kit);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(kit_write(&kit, i, KIT_START_MS, i), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (kit_count(&kit, cases[i].kind, cases[i].name, cases[i].value, ALWAYS) !=
            cases[i].count)
            fail_msg("%s", cases[i].because);
    kit_stop(&kit);
}

static int collect(void *context, struct bytes key, struct bytes value)
{
    char *text = context;
    (void)snprintf(text + strlen(text), 200 - strlen(text), "%.*s=%.*s ", (int)key.size,
                   (const char *)key.data, (int)value.size, (const char *)value.data);
    return 0;
}

static void state_is_a_sorted_map_that_survives(void **state)
{
    (void)state;
    struct kit kit;
    struct buf out = {0};
    kit_start(&kit);
    assert_int_equal(kit_put(&kit, "alert/b", "2"), 0);
    assert_int_equal(kit_put(&kit, "alert/a", "1"), 0);
    assert_int_equal(kit_put(&kit, "alerts", "no"), 0);
    assert_int_equal(kit_put(&kit, "alert/c", "3"), 0);
    assert_int_equal(kit_put(&kit, "alert/c", NULL), 0);
    assert_int_equal(kit_put(&kit, "alert/never", NULL), 0);
    assert_int_equal(kit_put(&kit, "", "x"), ERR_INVALID);
    for (int i = 0; i < 2; i++) {
        char text[200] = "";
        assert_int_equal(store_state_scan(kit.store, bytes_of("alert/"), collect, text), 0);
        assert_string_equal(text, "alert/a=1 alert/b=2 ");
        kit_close(&kit);
        kit_open(&kit);
    }
    assert_int_equal(store_state_get(kit.store, bytes_of("alert/b"), &out), 0);
    assert_true(bytes_equal(buf_bytes(&out), bytes_of("2")));
    assert_int_equal(store_state_get(kit.store, bytes_of("alert/c"), &out), ERR_NOTFOUND);
    buf_done(&out);
    kit_stop(&kit);
}

static void a_silent_source_ends_its_series_until_samples_come_again(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    double stale;
    uint64_t bits = STALE_NAN_BITS;
    memcpy(&stale, &bits, sizeof stale);
    kit_start(&kit);
    store_series_set_source(kit_series(&kit, 1), 42);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS, 5), 0);
    assert_int_equal(kit_write(&kit, 2, KIT_START_MS, 6), 0);
    model_write(&model, 1, KIT_START_MS, 5);
    model_write(&model, 2, KIT_START_MS, 6);
    store_set_absent(kit.store, 42, KIT_START_MS + 3000);
    model_write(&model, 1, KIT_START_MS + 1, stale);
    kit_expect(&kit, &model, ALWAYS);
    kit_expect(&kit, &model, KIT_START_MS + 1, KIT_START_MS + 100);

    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + 4000, 7), 0);
    model.count--;
    model_write(&model, 1, KIT_START_MS + 4000, 7);
    kit_expect(&kit, &model, ALWAYS);
    store_set_absent(kit.store, 42, 0);
    kit_expect(&kit, &model, ALWAYS);
    model_done(&model);
    kit_stop(&kit);
}

static void a_query_stops_at_its_budget(void **state)
{
    (void)state;
    struct kit kit;
    kit_start(&kit);
    for (int i = 0; i < 100; i++)
        assert_int_equal(kit_write(&kit, 0, KIT_START_MS + i, i), 0);
    struct queryable *queryable = store_queryable(kit.store);
    struct querier *querier;
    struct matcher *matcher;
    struct series_samples *series;
    struct diagnosis why = {""};
    struct arena arena;
    size_t count;
    volatile bool cancelled = true;
    arena_init(&arena, 1 << 20);
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of("0"), &matcher, &why), 0);
    assert_int_equal(queryable->calls->open(queryable, ALWAYS, &querier, &why), 0);
    struct select_hints hints = {.from_ms = KIT_START_MS, .until_ms = KIT_START_MS + 99};
    struct query_budget budget = {.samples_left = 99};
    assert_int_equal(queryable->calls->select(querier, &matcher, 1, &hints, &budget, &arena,
                                              &series, &count, &why),
                     ERR_LIMIT);
    budget = (struct query_budget){.samples_left = 100, .cancelled = &cancelled};
    assert_int_equal(queryable->calls->select(querier, &matcher, 1, &hints, &budget, &arena,
                                              &series, &count, &why),
                     ERR_CANCELLED);
    cancelled = false;
    assert_int_equal(queryable->calls->select(querier, &matcher, 1, &hints, &budget, &arena,
                                              &series, &count, &why),
                     0);
    assert_int_equal(budget.samples_left, 0);
    queryable->calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
    kit_stop(&kit);
}

/* Prometheus counts the chunk that a series' samples are added to, too. */
static void open_chunks_are_chunks(void **state)
{
    (void)state;
    struct kit kit;
    kit_start(&kit);
    assert_int_equal(store_count_head_chunks(kit.store), 0);
    for (unsigned n = 0; n < 3; n++)
        assert_int_equal(kit_write(&kit, n, KIT_START_MS + 1000, n), 0);
    assert_int_equal(store_count_head_chunks(kit.store), 3);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS, 5), 0); /* late, for one of them */
    assert_int_equal(store_count_head_chunks(kit.store), 4);
    for (int i = 2; i <= 130; i++)
        assert_int_equal(kit_write(&kit, 2, KIT_START_MS + i * 1000, i), 0);
    assert_int_equal(store_count_head_chunks(kit.store), 5); /* 120 sealed, and the rest */
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(store_count_head_chunks(kit.store), 0);
    kit_stop(&kit);
}

/* Three groups of bulk (BULK_BYTES in writer.h), about. */
#define BULK_WRITES  9U
#define BULK_SAMPLES 16000

struct bulk {
    struct kit *kit;
    struct store_sample *samples;
    struct store_write writes[BULK_WRITES];
    _Atomic unsigned done, failed;
};

static void bulk_done(struct store_write *write, int error)
{
    struct bulk *bulk = write->context;
    store_series_release(bulk->kit->store, write->samples->series);
    bulk->failed += error != 0;
    bulk->done++;
}

/* Each with a reference of its own to m{n="1"}, the times one behind the other. */
static void submit_bulk(struct kit *kit, int64_t from_ms, struct bulk *bulk)
{
    const struct labels *labels = kit_labels("m", "1");
    *bulk = (struct bulk){.kit = kit};
    bulk->samples = calloc((size_t)BULK_WRITES * BULK_SAMPLES, sizeof *bulk->samples);
    assert_non_null(bulk->samples);
    for (unsigned w = 0; w < BULK_WRITES; w++) {
        struct store_sample *samples = bulk->samples + (size_t)w * BULK_SAMPLES;
        struct series *series;
        assert_int_equal(store_series_resolve(kit->store, labels, NULL, &series), 0);
        for (int i = 0; i < BULK_SAMPLES; i++)
            samples[i] = (struct store_sample){series, from_ms++, i};
        bulk->writes[w] = (struct store_write){.samples = samples,
                                               .sample_count = BULK_SAMPLES,
                                               .is_bulk = true,
                                               .done = bulk_done,
                                               .context = bulk};
        assert_int_equal(store_write_submit(kit->store, &bulk->writes[w]), 0);
    }
    labels_free(labels);
}

static void bulk_goes_on_and_none_is_lost_at_the_end(void **state)
{
    (void)state;
    struct kit kit;
    struct bulk bulk;
    uint64_t records;
    unsigned prompt = 0;
    kit_start(&kit);
    assert_int_equal(kit_write(&kit, 0, KIT_START_MS + prompt++, 1), 0);
    submit_bulk(&kit, KIT_START_MS, &bulk);
    for (; bulk.done < BULK_WRITES && prompt < 100000; prompt++) /* they never pause */
        assert_int_equal(kit_write(&kit, 0, KIT_START_MS + prompt, 1), 0);
    assert_int_equal(bulk.done, BULK_WRITES);
    assert_int_equal(bulk.failed, 0);
    free(bulk.samples);
    submit_bulk(&kit, KIT_START_MS + 1000000, &bulk);
    kit_close(&kit); /* while it rests, as a rule */
    assert_int_equal(bulk.done, BULK_WRITES);
    assert_int_equal(bulk.failed, 0);
    free(bulk.samples);
    kit_open(&kit);
    assert_int_equal(kit_samples(&kit, ALWAYS, &records),
                     (uint64_t)2 * BULK_WRITES * BULK_SAMPLES + prompt);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_is_in_the_very_next_query),
        cmocka_unit_test(what_was_acknowledged_survives_a_reopen),
        cmocka_unit_test(values_are_kept_bit_for_bit),
        cmocka_unit_test(the_last_write_at_one_time_wins_in_any_order_of_arrival),
        cmocka_unit_test(a_series_keeps_its_id),
        cmocka_unit_test(matchers_select_as_prometheus_does),
        cmocka_unit_test(state_is_a_sorted_map_that_survives),
        cmocka_unit_test(a_silent_source_ends_its_series_until_samples_come_again),
        cmocka_unit_test(a_query_stops_at_its_budget),
        cmocka_unit_test(open_chunks_are_chunks),
        cmocka_unit_test(bulk_goes_on_and_none_is_lost_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
