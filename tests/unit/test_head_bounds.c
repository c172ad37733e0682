/*
 * test_head_bounds.c - who asks for times that the head has no samples of passes it by.
 *
 * What can go wrong: a sample that comes late, for a time that has been flushed, is passed by; so is
 * one that comes while the keeper looks for the oldest one; after a flush nobody is told, and every
 * question goes through the head for ever.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/store/head.h"
#include "collector/store/parts.h"
#include "proto/base/must.h"
#include "tests/unit/store_kit.h"

#define SPAN_MS (INT64_C(2) * 3600 * 1000)
#define ROUNDS  400

static bool is_touched(const struct kit *kit, int64_t from_ms, int64_t until_ms)
{
    return head_touches(kit->store->head, from_ms, until_ms);
}

static void what_is_flushed_is_not_looked_for_in_the_head(void **state)
{
    struct kit kit;
    struct model model = {0};
    const int64_t old_ms = KIT_START_MS + 600000;
    const int64_t late_ms = KIT_START_MS + 60000;
    const int64_t new_ms = KIT_START_MS + 4 * SPAN_MS;
    (void)state;
    kit_start(&kit);
    kit.now_ms = new_ms;
    assert_false(is_touched(&kit, INT64_MIN / 2, INT64_MAX / 2));
    assert_int_equal(kit_write(&kit, 1, old_ms, 1), 0);
    model_write(&model, 1, old_ms, 1);
    assert_true(is_touched(&kit, old_ms, old_ms));
    assert_int_equal(store_settle(kit.store), 0);

    assert_int_equal(kit_write(&kit, 1, new_ms, 2), 0);
    model_write(&model, 1, new_ms, 2);
    assert_false(is_touched(&kit, KIT_START_MS, new_ms - 1));
    assert_true(is_touched(&kit, KIT_START_MS, new_ms));
    kit_expect(&kit, &model, KIT_START_MS, new_ms - 1);
    kit_expect(&kit, &model, KIT_START_MS, new_ms);

    assert_int_equal(kit_write(&kit, 1, late_ms, 3), 0);
    model_write(&model, 1, late_ms, 3);
    assert_true(is_touched(&kit, late_ms, late_ms));
    kit_expect(&kit, &model, KIT_START_MS, old_ms);

    kit_close(&kit);
    kit_open(&kit);
    assert_true(is_touched(&kit, late_ms, late_ms));
    assert_false(is_touched(&kit, KIT_START_MS, late_ms - 1));
    kit_expect(&kit, &model, KIT_START_MS, new_ms);
    kit_stop(&kit);
    model_done(&model);
}

static void append(struct head *head, struct series *series, int64_t ms)
{
    const uint32_t shard = head_shard_of(series->id);
    head_lock_shard(head, shard);
    assert_int_equal(head_append(head, series, ms, 1, ms), 0);
    head_unlock_shard(head, shard);
}

static void what_came_since_the_look_began_counts(void **state)
{
    struct head *head;
    struct series *series;
    const struct labels *labels = kit_labels("m", "1");
    (void)state;
    assert_int_equal(head_open(SPAN_MS, 0, &head), 0);
    assert_int_equal(head_intern(head, labels, 1, &series), 0);
    append(head, series, KIT_START_MS + 9000);
    assert_int_equal(head_find_oldest(head), 0);
    append(head, series, KIT_START_MS + 5000);
    head_take_oldest(head);
    assert_true(head_touches(head, KIT_START_MS, KIT_START_MS + 5000));
    assert_false(head_touches(head, KIT_START_MS, KIT_START_MS + 4999));
    append(head, series, KIT_START_MS + 3000);
    head_take_oldest(head); /* nothing new was found out */
    assert_true(head_touches(head, KIT_START_MS, KIT_START_MS + 3000));
    head_release(series);
    labels_free(labels);
    head_close(head);
}

struct settling {
    struct kit kit;
    _Atomic bool is_over;
    _Atomic unsigned times;
};

static void *settle_on(void *context)
{
    struct settling *settling = context;
    while (!settling->is_over) {
        must(store_settle(settling->kit.store) == 0);
        settling->times++;
    }
    return NULL;
}

static void what_comes_while_the_keeper_looks_is_seen(void **state)
{
    static struct settling settling;
    pthread_t thread;
    struct model model = {0};
    (void)state;
    kit_start(&settling.kit);
    settling.kit.now_ms = KIT_START_MS + 4 * SPAN_MS;
    assert_int_equal(kit_write(&settling.kit, 0, settling.kit.now_ms, 0), 0);
    model_write(&model, 0, settling.kit.now_ms, 0);
    assert_int_equal(pthread_create(&thread, NULL, settle_on, &settling), 0);
    /* Backwards: each is older than all before. */
    for (int i = 0; i < ROUNDS || settling.times < 10; i++) {
        const unsigned n = (unsigned)i % 90;
        const int64_t ms = KIT_START_MS + 3 * SPAN_MS - (int64_t)i * 1000;
        assert_int_equal(kit_write(&settling.kit, n, ms, i), 0);
        model_write(&model, n, ms, i);
        kit_expect(&settling.kit, &model, ms, ms);
        kit_expect(&settling.kit, &model, ms + 1000, ms + 1000); /* after the writer has been there */
    }
    settling.is_over = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    kit_expect(&settling.kit, &model, INT64_MIN / 2, INT64_MAX / 2);
    kit_stop(&settling.kit);
    model_done(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_flushed_is_not_looked_for_in_the_head),
        cmocka_unit_test(what_came_since_the_look_began_counts),
        cmocka_unit_test(what_comes_while_the_keeper_looks_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
