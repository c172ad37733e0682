/*
 * test_deletes_races.c - deletes in the middle of whatever else the store does.
 *
 * What can go wrong, and the test that would see it:
 *   - a checkpoint, flush, merge or rewrite that began before the delete brings back what it
 *     covers, or hides what is written after it (a_delete_at_any_point_of_housekeeping_counts)
 *   - a file takes its place in the order of things while the delete does, and neither sees the
 *     other (deletes_beside_housekeeping_count)
 *   - two deletes, late samples, kills and reopenings in an order nobody has thought of
 *     (random_work_leaves_what_the_model_holds)
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* Something is deleted, and something written, at one point of housekeeping. */
struct intrusion {
    struct kit *kit;
    struct model *model;
    const char *_Atomic point; /* looked at by the writer thread, too */
    int64_t from_ms, until_ms;
    unsigned passed;
};

static void intrude(void *context, const char *point)
{
    struct intrusion *intrusion = context;
    kit_gate(intrusion->kit, point);
    const char *wanted = intrusion->point;
    if (wanted == NULL || strcmp(point, wanted) != 0)
        return;
    intrusion->passed++;
    intrusion->point = NULL; /* once; its own commits pass points, too */
    kit_delete_both(intrusion->kit, intrusion->model, 0, intrusion->from_ms, intrusion->until_ms);
    kit_run(intrusion->kit, intrusion->model, 0, intrusion->from_ms + 60000,
              intrusion->from_ms + 120000, 9);
}

static void a_delete_at_any_point_of_housekeeping_counts(void **state)
{
    (void)state;
    /* Those of the keeper thread, on which a delete may wait. */
    static const char *const points[] = {
        "checkpoint.begun", "checkpoint.slices", "checkpoint.ended", "checkpoint.trimmed",
        "flush.written",    "flush.finished",    "flush.registered", "flush.removed",
        "flush.forgetting", "merge.written",     "merge.finished",   "merge.registered",
        "merge.replaced",   "delete.rewrite",    "delete.rewritten", "delete.retired"};
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        struct kit kit;
        struct model model = {0};
        struct intrusion intrusion = {&kit, &model, NULL, KIT_START_MS + 600000,
                                      KIT_START_MS + 1800000, 0};
        const int64_t t = KIT_START_MS;
        kit_start(&kit);
        kit_close(&kit);
        kit.options.step = intrude;
        kit.options.step_context = &intrusion;
        kit.now_ms = t + 3 * SPAN_MS;
        kit_open(&kit);
        kit_run(&kit, &model, 0, t, t + SPAN_MS, 1);
        kit_run(&kit, &model, 1, t, t + 2 * SPAN_MS, 1);
        assert_int_equal(store_settle(kit.store), 0);
        kit_run(&kit, &model, 0, t + 300000, t + 900000, 2);
        kit_delete_both(&kit, &model, 1, t, t + SPAN_MS + 600000);
        intrusion.point = points[p];
        assert_int_equal(store_settle(kit.store), 0);
        if (intrusion.passed != 1)
            fail_msg("%s was not passed", points[p]);
        kit_expect(&kit, &model, ALWAYS);
        kit_crash(&kit);
        kit_expect(&kit, &model, ALWAYS);
        assert_int_equal(store_settle(kit.store), 0);
        kit_expect(&kit, &model, ALWAYS);
        assert_int_equal(stats_of(&kit).deletes_pending, 0);
        assert_int_equal(stats_of(&kit).quarantined, 0);
        model_done(&model);
        kit_stop(&kit);
    }
}

struct settler {
    struct kit *kit;
    _Atomic bool stopping;
};

static void *settle_on(void *context)
{
    struct settler *settler = context;
    for (int i = 0; !settler->stopping; i++)
        must((i % 2 == 0 ? store_settle(settler->kit->store)
                         : store_clean_deletes(settler->kit->store)) == 0);
    return NULL;
}

static void deletes_beside_housekeeping_count(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct settler settler = {.kit = &kit};
    pthread_t thread;
    unsigned seed = 4;
    const int64_t t = KIT_START_MS;
    kit_start(&kit);
    kit.now_ms = t + 2 * SPAN_MS;
    assert_int_equal(pthread_create(&thread, NULL, settle_on, &settler), 0);
    for (int round = 0; round < 60; round++) {
        unsigned n = (unsigned)rand_r(&seed) % 4;
        int64_t from = t + rand_r(&seed) % 400 * KIT_STEP_MS;
        int64_t until = from + rand_r(&seed) % 100 * KIT_STEP_MS;
        if (round % 3 == 2)
            kit_delete_both(&kit, &model, n, from, until);
        else
            kit_run(&kit, &model, n, from, until, round);
        if (round % 10 == 9)
            kit_expect(&kit, &model, ALWAYS);
    }
    settler.stopping = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(store_settle(kit.store), 0);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(stats_of(&kit).deletes_pending, 0);
    model_done(&model);
    kit_stop(&kit);
}

/* Anything in any order, against the model. */
static void random_work_leaves_what_the_model_holds(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2; seed++) {
        struct kit kit;
        struct model model = {0};
        unsigned random = seed;
        const int64_t t = KIT_START_MS - KIT_START_MS % (12 * SPAN_MS);
        kit_start(&kit);
        kit.now_ms = t + 14 * SPAN_MS;
        for (int i = 0; i < 200; i++) {
            unsigned n = (unsigned)rand_r(&random) % 5;
            unsigned what = (unsigned)rand_r(&random) % 64;
            int64_t from = t + rand_r(&random) % (14 * 480) * KIT_STEP_MS;
            int64_t until = from + rand_r(&random) % 200 * KIT_STEP_MS;
            if (what < 40)
                kit_run(&kit, &model, n, from, until, i);
            else if (what < 52)
                kit_delete_both(&kit, &model, what < 50 ? n : MODEL_ALL, from, until);
            else if (what < 54)
                assert_int_equal(store_clean_deletes(kit.store), 0);
            else if (what < 57)
                assert_int_equal(store_settle(kit.store), 0);
            else if (what < 59)
                kit_crash(&kit);
            else if (what < 60) {
                kit_close(&kit);
                kit_open(&kit);
            } else
                kit_expect(&kit, &model, ALWAYS);
        }
        kit_expect(&kit, &model, ALWAYS);
        assert_int_equal(store_settle(kit.store), 0);
        kit_expect(&kit, &model, ALWAYS);
        assert_int_equal(stats_of(&kit).deletes_pending, 0);
        assert_int_equal(stats_of(&kit).quarantined, 0);
        model_done(&model);
        kit_stop(&kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delete_at_any_point_of_housekeeping_counts),
        cmocka_unit_test(deletes_beside_housekeeping_count),
        cmocka_unit_test(random_work_leaves_what_the_model_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
