/*
 * test_remote_out.c - remote write out below the network: what is read, kept, divided and written.
 *
 * What is encoded is read back by the parsers of remote write in, which know nothing of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the above first
#include <cmocka.h>
#include <snappy-c.h>

#include "collector/http/remote_parse.h"
#include "collector/remote/window.h"
#include "collector/store/changes.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

/* ---- bytes ------------------------------------------------------------------------------- */

static void a_batch_comes_back_bit_for_bit(void **state)
{
    const uint64_t ids[] = {7, 3, UINT64_MAX / 2, 3};
    const int64_t times_ms[] = {1000, -5, STORE_TIME_MS_MAX, 1000};
    uint64_t stale_bits = 0x7ff0000000000002;
    double values[] = {1.5, -0.0, 0, 1e308};
    struct batch batch = {0}, again = {0};
    struct buf bytes = {0};
    (void)state;
    memcpy(&values[2], &stale_bits, sizeof stale_bits);
    const struct store_change changes[] = {
        {5, ids, times_ms, values, 3}, {6, NULL, NULL, NULL, 0}, {9, ids + 3, times_ms + 3,
                                                                  values + 3, 1}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(batch_add(&batch, &changes[i]), 0);
    batch_encode(&batch, &bytes);
    assert_int_equal(batch_decode(buf_bytes(&bytes), &again), 0);
    assert_int_equal(again.commit_count, 3);
    assert_int_equal(again.count, 4);
    assert_memory_equal(again.ids, ids, sizeof ids);
    assert_memory_equal(again.times_ms, times_ms, sizeof times_ms);
    assert_memory_equal(again.values, values, sizeof values);
    assert_int_equal(batch_find(&again, 9)->first, 3);
    assert_int_equal(batch_find(&again, 6)->count, 0);
    assert_null(batch_find(&again, 7));
    for (size_t cut = 0; cut < bytes.size; cut++)
        assert_int_equal(batch_decode((struct bytes){bytes.data, cut}, &again), ERR_MALFORMED);
    batch_done(&batch);
    batch_done(&again);
    buf_done(&bytes);
}

static void a_cursor_comes_back(void **state)
{
    const struct cursor cursors[] = {
        {{5, 7}, {6, 0}, 3, 5, 1700000000000, {0}},
        {{5, 7}, {6, 0}, 3, 5, 1700000000000, {0, 19, 1}}, /* two shards go in parts */
    };
    struct cursor again;
    struct buf row = {0}, copy = {0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        buf_clear(&row);
        buf_clear(&copy);
        cursor_write(&cursors[i], &row);
        assert_int_equal(cursor_read(buf_bytes(&row), &again), 0);
        cursor_write(&again, &copy);
        assert_true(bytes_equal(buf_bytes(&copy), buf_bytes(&row)));
        assert_int_equal(again.begin.index, 7);
        assert_int_equal(again.acknowledged, 5);
        assert_int_equal(again.level_ms, 1700000000000);
        assert_memory_equal(again.next, cursors[i].next, sizeof again.next);
        for (size_t cut = 0; cut < row.size; cut++)
            assert_int_equal(cursor_read((struct bytes){row.data, cut}, &again), ERR_MALFORMED);
    }
    buf_done(&copy);
    const struct cursor backwards = {.begin = {5, 7}, .end = {5, 7}, .shards = 3};
    buf_clear(&row);
    cursor_write(&backwards, &row);
    assert_int_equal(cursor_read(buf_bytes(&row), &again), ERR_MALFORMED);
    buf_done(&row);
}

static struct bytes labels_text(const char *name, const char *value, struct buf *out)
{
    const struct labels *labels = kit_labels(name, value);
    labels_write(labels, out);
    labels_free(labels);
    return buf_bytes(out);
}

/* Both messages say the same of out-of-order samples, one of them written twice. */
static void requests_are_read_by_the_other_side(void **state)
{
    struct buf one = {0}, two = {0}, body = {0}, raw = {0};
    struct encoder encoder = {0};
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct remote_message message = {0};
        buf_clear(&one);
        buf_clear(&two);
        struct bytes a = labels_text("m", "1", &one), b = labels_text("m", "2", &two);
        struct encode_sample samples[] = {
            {a, 2000, 2, 0}, {b, 1000, 5, 1}, {a, 1000, 1, 2}, {a, 2000, 3, 3}};
        buf_clear(&body);
        assert_int_equal(encode_samples(&encoder, samples, 4, version == 2, NULL, &body), 0);
        size_t size = 0;
        assert_int_equal(snappy_uncompressed_length((char *)body.data, body.size, &size),
                         SNAPPY_OK);
        buf_clear(&raw);
        uint8_t *to = buf_reserve(&raw, size + 1);
        assert_int_equal(snappy_uncompress((char *)body.data, body.size, (char *)to, &size),
                         SNAPPY_OK);
        const struct bytes bytes = {to, size};
        assert_int_equal(version == 2 ? remote_parse_v2(bytes, &message)
                                      : remote_parse(bytes, &message), 0);
        assert_int_equal(message.series_count, 2);
        assert_int_equal(message.sample_count, 3);
        for (size_t i = 0; i < 2; i++) {
            const struct remote_series *series = &message.series[i];
            struct label labels[SERIES_LABELS_MAX];
            size_t count = 0;
            assert_int_equal(remote_labels(series, labels, SERIES_LABELS_MAX, &count), 0);
            assert_int_equal(count, 3);
            assert_true(bytes_equal(labels[0].name, bytes_of("__name__")));
            const struct store_sample *first = &message.samples[series->first_sample];
            if (bytes_equal(labels[2].value, bytes_of("1"))) {
                assert_true(series->sample_count == 2 && first[0].ts_ms == 1000);
                assert_true(first[1].ts_ms == 2000 && first[1].value == 3);
            } else {
                assert_true(series->sample_count == 1 && first[0].value == 5);
            }
        }
        remote_message_done(&message);
    }
    encoder_done(&encoder);
    buf_done(&one);
    buf_done(&two);
    buf_done(&body);
    buf_done(&raw);
}

/* ---- the feed ---------------------------------------------------------------------------- */

/* A store whose log is cut, and spilled before, when the test says so: its keeper has checkpoints
 * of its own. */
struct world {
    struct kit kit;
    struct spill spill;
    struct feed feed;
    uint64_t first; /* commit */
    _Atomic bool cuts;
};

static uint64_t release(void *context, uint64_t through)
{
    struct world *world = context;
    if (!world->cuts || through != store_last_commit(world->kit.store))
        return 0; /* a pass of the keeper's own, begun before */
    uint64_t last = spill_last(&world->spill);
    uint64_t from = last > 0 ? last + 1 : world->first;
    if (from <= through)
        assert_int_equal(spill_write(&world->spill, world->kit.store, from, through), 0);
    return through;
}

static void start(struct world *world, uint64_t limit_bytes)
{
    char directory[128];
    *world = (struct world){0};
    kit_start(&world->kit);
    kit_close(&world->kit);
    world->kit.options.release = release;
    world->kit.options.release_context = world;
    (void)snprintf(directory, sizeof directory, "%s/remote/spill", world->kit.directory);
    assert_int_equal(spill_open(directory, limit_bytes, &world->spill, NULL), 0);
    kit_open(&world->kit);
    feed_init(&world->feed, world->kit.store, &world->spill);
    world->first = store_last_commit(world->kit.store) + 1;
}

static void cut(struct world *world)
{
    world->cuts = true;
    assert_int_equal(store_settle(world->kit.store), 0);
    world->cuts = false;
}

static void stop(struct world *world)
{
    feed_done(&world->feed);
    kit_close(&world->kit);
    spill_close(&world->spill);
    kit_stop_closed(&world->kit);
}

/* A commit of `count` samples, whose values go on from `*value`. */
static void commit(struct world *world, size_t count, double *value)
{
    struct store_sample samples[64];
    for (size_t i = 0; i < count; i++)
        samples[i] = (struct store_sample){kit_series(&world->kit, (unsigned)i),
                                           KIT_START_MS + (int64_t)*value * 10, (*value)++};
    struct store_write write = {.samples = samples, .sample_count = count};
    assert_int_equal(store_write_wait(world->kit.store, &write), 0);
}

struct expecting {
    double next;
    size_t limit;
};

static int expect_next(void *context, const struct feed_sample *sample)
{
    struct expecting *expecting = context;
    if (expecting->limit == 0)
        return 1;
    expecting->limit--;
    assert_true(sample->value == expecting->next);
    expecting->next++;
    return 0;
}

static void all_is_read_from_log_and_files_in_order(void **state)
{
    struct world world;
    double value = 0;
    (void)state;
    start(&world, UINT64_MAX);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 5; i++)
            commit(&world, 1 + i * 13, &value);
        if (round < 2)
            cut(&world);
    }
    assert_int_equal(world.spill.count, 2);
    assert_true(spill_samples_from(&world.spill, world.first) * 3 == (uint64_t)value * 2);
    /* In pieces of any size, as requests take it; the place survives. */
    struct remote_place place = {world.first, 0};
    struct expecting expecting = {0, 0};
    for (size_t step = 1; expecting.next < value; step += 7) {
        struct feed fresh;
        expecting.limit = step;
        feed_init(&fresh, world.kit.store, &world.spill);
        assert_int_equal(feed_each(step % 2 == 0 ? &fresh : &world.feed, &place, NULL,
                                   expect_next, &expecting), 0);
        feed_done(&fresh);
    }
    assert_true(expecting.next == value);
    assert_int_equal(place.commit, store_last_commit(world.kit.store) + 1);
    assert_int_equal(world.feed.lost_commits, 0);
    /* Back to the middle, with an end. */
    const struct remote_place end = {world.first + 2, 5};
    place = (struct remote_place){world.first + 1, 3};
    expecting = (struct expecting){4, 1000};
    assert_int_equal(feed_each(&world.feed, &place, &end, expect_next, &expecting), 0);
    assert_true(expecting.next == 1 + 14 + 5);
    spill_prune(&world.spill, world.first + 4);
    assert_int_equal(world.spill.count, 1);
    stop(&world);
}

static void files_outlive_a_restart_and_rests_do_not(void **state)
{
    struct world world;
    double value = 0;
    char path[256], directory[128];
    struct expecting expecting = {0, 1000};
    (void)state;
    start(&world, UINT64_MAX);
    commit(&world, 40, &value);
    cut(&world);
    (void)snprintf(directory, sizeof directory, "%s", world.spill.directory);
    (void)snprintf(path, sizeof path, "%s/0000000000000001-0000000000000002.spill.tmp", directory);
    FILE *rest = fopen(path, "w");
    assert_non_null(rest);
    (void)fclose(rest);
    spill_close(&world.spill);
    assert_int_equal(spill_open(directory, UINT64_MAX, &world.spill, NULL), 0);
    assert_int_equal(world.spill.count, 1);
    assert_int_equal(world.spill.files[0].samples, 40);
    assert_int_not_equal(access(path, F_OK), 0);
    struct remote_place place = {world.first, 0};
    assert_int_equal(feed_each(&world.feed, &place, NULL, expect_next, &expecting), 0);
    assert_true(expecting.next == 40);
    stop(&world);
}

static void flip(const char *path, long offset)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    (void)fputc(byte ^ 1, file);
    (void)fclose(file);
}

/* What is damaged or dropped is counted, and what follows is read. */
static void what_is_gone_is_passed_by_and_counted(void **state)
{
    static const long offsets[] = {24, 60}; /* a block's header, its bytes */
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        double value = 0;
        char path[256];
        start(&world, UINT64_MAX);
        commit(&world, 10, &value);
        commit(&world, 10, &value);
        cut(&world);
        commit(&world, 10, &value);
        (void)snprintf(path, sizeof path, "%s/%016llx-%016llx.spill", world.spill.directory,
                       (unsigned long long)world.spill.files[0].first,
                       (unsigned long long)world.spill.files[0].last);
        flip(path, offsets[i]);
        struct remote_place place = {world.first, 0};
        struct expecting expecting = {20, 1000};
        assert_int_equal(feed_each(&world.feed, &place, NULL, expect_next, &expecting), 0);
        assert_true(expecting.next == 30);
        assert_int_equal(world.feed.lost_commits, 2);
        stop(&world);
    }
    struct world world;
    struct spill_file file;
    double value = 0;
    start(&world, 1);
    commit(&world, 10, &value);
    cut(&world);
    assert_true(spill_limit(&world.spill) <= 1);
    assert_false(spill_drop_oldest(&world.spill, world.spill.bytes, &file));
    assert_true(spill_drop_oldest(&world.spill, 1, &file));
    assert_int_equal(file.samples, 10);
    assert_false(spill_drop_oldest(&world.spill, 0, &file));
    assert_int_equal(world.spill.bytes, 0);
    commit(&world, 10, &value);
    struct remote_place place = {world.first, 0};
    struct expecting expecting = {10, 1000};
    assert_int_equal(feed_each(&world.feed, &place, NULL, expect_next, &expecting), 0);
    assert_true(expecting.next == 20 && world.feed.lost_commits == 1);
    stop(&world);
}

static void what_is_not_released_stays_in_the_log(void **state)
{
    struct world world;
    double value = 0;
    struct expecting expecting = {0, 1000};
    (void)state;
    start(&world, UINT64_MAX);
    commit(&world, 10, &value);
    assert_int_equal(store_settle(world.kit.store), 0);
    struct remote_place place = {world.first, 0};
    assert_int_equal(feed_each(&world.feed, &place, NULL, expect_next, &expecting), 0);
    assert_true(expecting.next == 10);
    /* And is no burden to a restart: nothing is there twice. */
    struct model model = {0};
    for (unsigned i = 0; i < 10; i++)
        model_write(&model, i, KIT_START_MS + i * 10, i);
    feed_done(&world.feed);
    kit_close(&world.kit);
    kit_open(&world.kit);
    feed_init(&world.feed, world.kit.store, &world.spill);
    kit_expect(&world.kit, &model, KIT_START_MS, KIT_START_MS + 1000);
    commit(&world, 1, &value);
    cut(&world);
    assert_int_equal(spill_samples_from(&world.spill, world.first), 11);
    model_done(&model);
    stop(&world);
}

/* ---- windows ----------------------------------------------------------------------------- */

/* Of a shard that went in parts, what its cursor says is acknowledged is not made again; the rest
 * is. */
static void expect_the_rest_of_parts(struct world *world, struct series_cache *cache,
                                     const struct remote_settings *settings, struct cursor *cursor,
                                     const struct window *window)
{
    static struct window rest;
    for (size_t shard = 0; shard < 4; shard++) {
        const struct shard *whole = &window->shards[shard];
        const size_t done = whole->count / 2;
        if (done == 0)
            continue;
        cursor->next[shard] = whole->samples[done].order;
        assert_int_equal(
            window_fill(&rest, &world->feed, cache, settings, cursor, 4, 0), 0);
        assert_int_equal(rest.shards[shard].count, whole->count - done);
        for (size_t i = done; i < whole->count; i++)
            assert_true(rest.shards[shard].samples[i - done].order == whole->samples[i].order &&
                        rest.shards[shard].samples[i - done].value == whole->samples[i].value);
        cursor->next[shard] = 0;
    }
    window_done(&rest);
}

/* A window is made anew after a crash from its cursor alone, shard by shard; a series keeps to its
 * shard; no shard is larger than a request may be. */
static void a_window_is_made_again_as_it_was(void **state)
{
    struct world world;
    double value = 0;
    static struct window window, again;
    struct remote_settings settings = {.max_samples_per_send = 20};
    struct series_cache cache;
    struct cursor cursor = {0};
    size_t sent = 0;
    (void)state;
    start(&world, UINT64_MAX);
    series_cache_init(&cache, world.kit.store, NULL);
    for (int i = 0; i < 10; i++)
        commit(&world, 50, &value);
    for (cursor.begin = (struct remote_place){world.first, 0};
         cursor.begin.commit <= store_last_commit(world.kit.store);
         cursor.begin = window.end, cursor.shards = 0) {
        cursor.shards = 0;
        assert_int_equal(window_fill(&window, &world.feed, &cache, &settings, &cursor, 4, 0), 0);
        assert_true(remote_place_before(cursor.begin, window.end));
        cursor.end = window.end;
        cursor.shards = window.shard_count;
        settings.max_samples_per_send = 3; /* the configuration may have changed */
        assert_int_equal(window_fill(&again, &world.feed, &cache, &settings, &cursor, 9, 0), 0);
        settings.max_samples_per_send = 20;
        assert_int_equal(again.shard_count, 4);
        for (size_t shard = 0; shard < 4; shard++) {
            const struct shard *a = &window.shards[shard], *b = &again.shards[shard];
            assert_true(a->count <= 20);
            assert_int_equal(a->count, b->count);
            for (size_t i = 0; i < a->count; i++)
                assert_true(a->samples[i].value == b->samples[i].value &&
                            a->samples[i].labels.data == b->samples[i].labels.data);
            for (size_t other = 0; other < shard; other++)
                for (size_t i = 0; i < a->count; i++)
                    for (size_t k = 0; k < window.shards[other].count; k++)
                        assert_true(a->samples[i].labels.data !=
                                    window.shards[other].samples[k].labels.data);
            sent += a->count;
        }
        expect_the_rest_of_parts(&world, &cache, &settings, &cursor, &window);
    }
    assert_int_equal(sent, 500);
    window_done(&window);
    window_done(&again);
    series_cache_done(&cache);
    stop(&world);
}

static void old_samples_are_left_out(void **state)
{
    struct world world;
    double value = 0;
    static struct window window;
    const struct remote_settings settings = {.max_samples_per_send = 100,
                                             .sample_age_limit_ms = 1000};
    struct series_cache cache;
    (void)state;
    start(&world, UINT64_MAX);
    series_cache_init(&cache, world.kit.store, NULL);
    commit(&world, 50, &value);
    const struct cursor cursor = {.begin = {world.first, 0}};
    assert_int_equal(window_fill(&window, &world.feed, &cache, &settings, &cursor, 1,
                                 KIT_START_MS + 1200), 0);
    assert_int_equal(window.dropped_age, 20);
    assert_int_equal(window.shards[0].count, 30);
    assert_int_equal(window.taken, 50);
    window_done(&window);
    series_cache_done(&cache);
    stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_comes_back_bit_for_bit),
        cmocka_unit_test(a_cursor_comes_back),
        cmocka_unit_test(requests_are_read_by_the_other_side),
        cmocka_unit_test(all_is_read_from_log_and_files_in_order),
        cmocka_unit_test(files_outlive_a_restart_and_rests_do_not),
        cmocka_unit_test(what_is_gone_is_passed_by_and_counted),
        cmocka_unit_test(what_is_not_released_stays_in_the_log),
        cmocka_unit_test(a_window_is_made_again_as_it_was),
        cmocka_unit_test(old_samples_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
