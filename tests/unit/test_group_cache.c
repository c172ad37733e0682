/*
 * test_group_cache.c - unpacked groups: taken in at the second offer, held while used, bounded.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/store/group_cache.h"

/* A group of two entries whose bytes tell its key. */
static void offer(struct group_cache *cache, uint32_t first, size_t size)
{
    uint8_t *entries = malloc(size);
    uint32_t offsets[] = {0, 1, (uint32_t)size};
    assert_non_null(entries);
    memset(entries, (int)first, size);
    group_cache_offer(cache, (struct group_key){7, first, 'c'},
                      &(struct group_view){entries, offsets, 2});
    free(entries);
}

static struct cached_group *find(struct group_cache *cache, uint32_t first)
{
    struct group_view view = {0};
    struct cached_group *group =
        group_cache_find(cache, (struct group_key){7, first, 'c'}, &view);
    if (group != NULL) {
        struct bytes entry = group_entry(&view, 1);
        assert_int_equal(view.count, 2);
        for (size_t i = 0; i < entry.size; i++)
            assert_int_equal(entry.data[i], (uint8_t)first);
    }
    return group;
}

static void what_is_wanted_twice_is_kept(void **state)
{
    (void)state;
    struct group_cache *cache;
    struct group_view view;
    assert_int_equal(group_cache_new(100000, &cache), 0);
    assert_null(find(cache, 1));
    offer(cache, 1, 100);
    assert_null(find(cache, 1));
    offer(cache, 1, 100);
    struct cached_group *group = find(cache, 1);
    assert_non_null(group);
    assert_null(group_cache_find(cache, (struct group_key){7, 1, 's'}, &view));
    assert_null(group_cache_find(cache, (struct group_key){8, 1, 'c'}, &view));
    group_cache_release(cache, group);
    offer(cache, 2, 50000); /* too large a part */
    offer(cache, 2, 50000);
    assert_null(find(cache, 2));
    group_cache_free(cache);
}

/* Questions that take turns: none keeps another one out by coming between its two. */
static void whoever_comes_back_is_taken_in(void **state)
{
    (void)state;
    struct group_cache *cache;
    assert_int_equal(group_cache_new((size_t)1 << 20, &cache), 0);
    for (int round = 0; round < 2; round++)
        for (uint32_t first = 0; first < 250; first++)
            offer(cache, first, 100);
    for (uint32_t first = 0; first < 250; first++) {
        struct cached_group *group = find(cache, first);
        assert_non_null(group);
        group_cache_release(cache, group);
    }
    group_cache_free(cache);
}

static void the_least_recently_used_goes(void **state)
{
    (void)state;
    struct group_cache *cache;
    assert_int_equal(group_cache_new(100000, &cache), 0);
    offer(cache, 0, 10000);
    offer(cache, 0, 10000);
    struct cached_group *held = find(cache, 0);
    for (uint32_t first = 1; first < 40; first++) {
        offer(cache, first, 10000);
        offer(cache, first, 10000);
        struct cached_group *one = find(cache, 1);
        assert_non_null(one);
        group_cache_release(cache, one);
    }
    assert_null(find(cache, 0)); /* it went while it was held, and lives on for its holder */
    struct cached_group *last = find(cache, 39);
    assert_non_null(last);
    group_cache_release(cache, last);
    group_cache_release(cache, held);
    group_cache_free(cache);
}

static void *use_at_random(void *context)
{
    unsigned random = (unsigned)(uintptr_t)&random;
    for (int i = 0; i < 5000; i++) {
        uint32_t first = (uint32_t)rand_r(&random) % 50;
        struct cached_group *group = find(context, first);
        if (group == NULL)
            offer(context, first, 5000);
        group_cache_release(context, group);
    }
    return NULL;
}

static void many_readers_use_it_at_once(void **state)
{
    (void)state;
    struct group_cache *cache;
    pthread_t threads[4];
    assert_int_equal(group_cache_new(100000, &cache), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_at_random, cache), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    group_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wanted_twice_is_kept),
        cmocka_unit_test(whoever_comes_back_is_taken_in),
        cmocka_unit_test(the_least_recently_used_goes),
        cmocka_unit_test(many_readers_use_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
