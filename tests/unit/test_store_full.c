/*
 * test_store_full.c - a store that runs out of room says so, keeps what it has, and goes on by
 * itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define ALWAYS      INT64_MIN / 2, INT64_MAX / 2
#define QUOTA_BYTES ((uint64_t)8 << 20)

static int put_blob(struct kit *kit, unsigned n, size_t size)
{
    char key[32];
    uint8_t *blob = calloc(1, size);
    assert_non_null(blob);
    memset(blob, 'x', size);
    (void)snprintf(key, sizeof key, "blob/%u", n);
    struct store_put put = {bytes_of(key), {blob, size}};
    struct store_write write = {.puts = &put, .put_count = 1};
    int error = store_write_wait(kit->store, &write);
    free(blob);
    return error;
}

static void past_the_quota_writes_are_refused_and_queries_go_on(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct store_stats stats;
    kit_start(&kit);
    kit_close(&kit);
    kit.options.quota_bytes = QUOTA_BYTES;
    kit_open(&kit);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS, 1), 0);
    model_write(&model, 1, KIT_START_MS, 1);
    int error = 0;
    /* The disk is looked at once a second, so more than the quota fits until then. */
    for (unsigned i = 0; i < 100000 && error == 0; i++)
        error = put_blob(&kit, i % 32, 512 << 10);
    assert_int_equal(error, ERR_FULL);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + 1000, 2), ERR_FULL);
    store_get_stats(kit.store, &stats);
    assert_true(stats.full);
    assert_true(strstr(stats.full_reason, "quota") != NULL);
    kit_expect(&kit, &model, ALWAYS);
    kit_close(&kit);

    kit.options.quota_bytes = QUOTA_BYTES * 1000; /* somebody has made room */
    kit_open(&kit);
    kit_expect(&kit, &model, ALWAYS);
    assert_int_equal(kit_write(&kit, 1, KIT_START_MS + 1000, 2), 0);
    model_write(&model, 1, KIT_START_MS + 1000, 2);
    kit_expect(&kit, &model, ALWAYS);
    store_get_stats(kit.store, &stats);
    assert_false(stats.full);
    model_done(&model);
    kit_stop(&kit);
}

/* While a scan is under way, all that it has not met yet is deleted, and the space given back. */
struct long_scan {
    struct kit *kit;
    unsigned met, damaged;
};

static int empty_the_rest(void *context, struct bytes key, struct bytes value)
{
    struct long_scan *scan = context;
    (void)key;
    if (scan->met++ == 0) {
        for (unsigned i = 0; i < 32; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "blob/%u", i);
            if (kit_put(scan->kit, name, NULL) != 0)
                return ERR_IO;
        }
        int error = store_settle(scan->kit->store);
        if (error != 0)
            return error;
    }
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] != 'x') {
            scan->damaged++;
            break;
        }
    return 0;
}

static void space_given_back_is_none_that_a_reader_still_sees(void **state)
{
    (void)state;
    struct kit kit;
    kit_start(&kit);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(put_blob(&kit, i, 64 << 10), 0);
    struct long_scan scan = {.kit = &kit};
    assert_int_equal(store_state_scan(kit.store, bytes_of("blob/"), empty_the_rest, &scan), 0);
    assert_int_equal(scan.met, 32);
    assert_int_equal(scan.damaged, 0);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(space_given_back_is_none_that_a_reader_still_sees),
        cmocka_unit_test(past_the_quota_writes_are_refused_and_queries_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
