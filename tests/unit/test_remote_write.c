/*
 * test_remote_write.c - remote write in: the parser, the cache of series, the answers.
 *
 * The store is a double with the calls that remote write uses; messages are encoded here, from
 * schema/remote.proto, so that the parser meets a second reading of it.
 */
#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the above first
#include <cmocka.h>

#include "collector/http/remote_cache.h"
#include "collector/http/remote_in.h"
#include "collector/http/remote_parse.h"
#include "collector/rules/rules.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

/* ---- a store's double ------------------------------------------------------------------- */

struct series {
    struct labels *labels;
    int references;
    struct metadata metadata;
};

struct kept {
    struct series *series;
    int64_t ts_ms;
    double value;
};

struct store {
    struct series *series[64];
    size_t series_count, series_limit;
    struct kept samples[64];
    size_t sample_count, resolves;
    int submit_error, done_error;
};

static struct store the_store;

int store_series_resolve(struct store *store, const struct labels *labels,
                         const struct metadata *metadata, struct series **ret_series)
{
    store->resolves++;
    for (size_t i = 0; i < store->series_count; i++) {
        if (labels_equal(store->series[i]->labels, labels)) {
            store->series[i]->references++;
            *ret_series = store->series[i];
            return 0;
        }
    }
    if (store->series_limit != 0 && store->series_count == store->series_limit)
        return ERR_LIMIT;
    struct series *series = calloc(1, sizeof *series);
    const struct labels *copy = NULL;
    assert_int_equal(labels_build(labels->pairs, labels->count, NULL, &copy), 0);
    series->labels = (struct labels *)(uintptr_t)copy;
    series->references = 1;
    if (metadata != NULL)
        series->metadata.type = metadata->type;
    store->series[store->series_count++] = series;
    *ret_series = series;
    return 0;
}

void store_series_release(struct store *store, struct series *series)
{
    (void)store;
    assert_true(series->references > 0);
    series->references--;
}

int store_write_submit(struct store *store, struct store_write *write)
{
    if (store->submit_error != 0)
        return store->submit_error;
    for (size_t i = 0; i < write->sample_count && store->done_error == 0; i++) {
        assert_true(write->samples[i].series->references > 0);
        store->samples[store->sample_count++] = (struct kept){
            write->samples[i].series, write->samples[i].ts_ms, write->samples[i].value};
    }
    write->done(write, store->done_error);
    return 0;
}

static int no_querier(struct queryable *store, int64_t from_ms, int64_t until_ms,
                      struct querier **ret_querier, struct diagnosis *why)
{
    (void)store, (void)from_ms, (void)until_ms, (void)ret_querier, (void)why;
    return ERR_NOTFOUND;
}

struct queryable *store_queryable(struct store *store)
{
    static const struct queryable_calls calls = {.open = no_querier};
    static struct queryable queryable = {&calls};
    (void)store;
    return &queryable;
}

static size_t samples_told;

int64_t rules_now_ms(struct rules *rules)
{
    (void)rules;
    return clock_unix_ms(&clock_system);
}

void rules_touch_samples(struct rules *rules, const struct store_sample *samples, size_t count)
{
    (void)rules;
    (void)samples;
    samples_told += count;
}

static bool finished;

static void finish(struct http_pending *pending)
{
    (void)pending;
    assert_false(finished);
    finished = true;
}

static struct http_pending the_pending = {finish};

static void reset(void)
{
    for (size_t i = 0; i < the_store.series_count; i++) {
        assert_int_equal(the_store.series[i]->references, 0);
        labels_free(the_store.series[i]->labels);
        free(the_store.series[i]);
    }
    the_store = (struct store){0};
}

/* ---- encoding --------------------------------------------------------------------------- */

static void put_field(struct buf *out, unsigned number, struct bytes bytes)
{
    buf_put_varint(out, number << 3 | 2);
    buf_put_sized(out, bytes);
}

static void put_label(struct buf *series, const char *name, const char *value)
{
    struct buf label = {0};
    put_field(&label, 1, bytes_of(name));
    put_field(&label, 2, bytes_of(value));
    put_field(series, 1, buf_bytes(&label));
    buf_done(&label);
}

static void put_sample(struct buf *series, double value, int64_t ts_ms)
{
    struct buf sample = {0};
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits != 0) {
        buf_put_varint(&sample, 1 << 3 | 1);
        buf_put_u64(&sample, bits);
    }
    buf_put_varint(&sample, 2 << 3 | 0);
    buf_put_varint(&sample, (uint64_t)ts_ms);
    put_field(series, 2, buf_bytes(&sample));
    buf_done(&sample);
}

/* Ends a series: moves it into the message. */
static void put_series(struct buf *message, struct buf *series)
{
    put_field(message, 1, buf_bytes(series));
    buf_clear(series);
}

static struct buf packed(const struct buf *message)
{
    struct buf out = {0};
    size_t size = snappy_max_compressed_length(message->size);
    uint8_t *to = buf_reserve(&out, size);
    assert_int_equal(
        snappy_compress((const char *)message->data, message->size, (char *)to, &size),
        SNAPPY_OK);
    out.size = size;
    return out;
}

static struct buf one_series(const char *name, const char *instance, double value,
                             int64_t ts_ms)
{
    struct buf message = {0};
    struct buf series = {0};
    put_label(&series, "__name__", name);
    put_label(&series, "instance", instance);
    put_sample(&series, value, ts_ms);
    put_series(&message, &series);
    buf_done(&series);
    return message;
}

static int send_raw(struct remote_in *remote, struct bytes body, char text[512])
{
    struct http_request request = {
        .content_type = "application/x-protobuf", .content_encoding = "snappy", .body = body};
    struct http_response response = {.status = 200};
    finished = false;
    remote_in_handle(remote, &request, &response, &the_pending);
    assert_true(finished);
    if (text != NULL)
        snprintf(text, 512, "%s", buf_text(&response.body));
    buf_done(&response.body);
    return response.status;
}

static int post(struct remote_in *remote, const struct buf *message, char text[512])
{
    struct buf body = packed(message);
    int status = send_raw(remote, buf_bytes(&body), text);
    buf_done(&body);
    return status;
}

static struct remote_in *open_remote(void)
{
    struct remote_in *remote = NULL;
    assert_int_equal(remote_in_open(&the_store, &remote), 0);
    return remote;
}

/* ---- facts ------------------------------------------------------------------------------ */

static void samples_are_stored_bit_for_bit(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    double stale;
    uint64_t bits = STALE_NAN_BITS;
    memcpy(&stale, &bits, sizeof stale);
    const double values[] = {1.5, 0.0, -0.0, stale, 1e308};
    for (size_t i = 0; i < 5; i++) {
        struct buf message = one_series("up", "a", values[i], 1000 + (int64_t)i);
        assert_int_equal(post(remote, &message, NULL), 204);
        assert_memory_equal(&the_store.samples[i].value, &values[i], sizeof(double));
        assert_int_equal(the_store.samples[i].ts_ms, 1000 + (int64_t)i);
        buf_done(&message);
    }
    assert_int_equal(the_store.series_count, 1);
    remote_in_close(remote);
    reset();
}

static void a_known_series_is_not_resolved_again(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    for (int i = 0; i < 10; i++) {
        struct buf message = one_series("up", i % 2 == 0 ? "a" : "b", i, i);
        assert_int_equal(post(remote, &message, NULL), 204);
        buf_done(&message);
    }
    assert_int_equal(the_store.resolves, 2);
    assert_int_equal(the_store.sample_count, 10);
    remote_in_close(remote);
    reset();
}

static void labels_need_not_stand_in_a_row_nor_be_sorted(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    struct buf message = {0};
    struct buf series = {0};
    put_label(&series, "instance", "a");
    put_sample(&series, 1, 10);
    put_label(&series, "__name__", "up");
    put_sample(&series, 2, 20);
    put_series(&message, &series);
    put_label(&series, "__name__", "up");
    put_label(&series, "instance", "a");
    put_sample(&series, 3, 30);
    put_series(&message, &series);
    assert_int_equal(post(remote, &message, NULL), 204);
    assert_int_equal(the_store.series_count, 1);
    assert_int_equal(the_store.sample_count, 3);
    buf_done(&series);
    buf_done(&message);
    remote_in_close(remote);
    reset();
}

static void good_series_are_stored_beside_bad_ones(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    struct buf message = {0};
    struct buf series = {0};
    char text[512];
    put_label(&series, "instance", "nameless");
    put_sample(&series, 1, 10);
    put_series(&message, &series);
    put_label(&series, "__name__", "twice");
    put_label(&series, "a", "1");
    put_label(&series, "a", "2");
    put_sample(&series, 1, 10);
    put_series(&message, &series);
    put_label(&series, "__name__", "\xff");
    put_sample(&series, 1, 10);
    put_series(&message, &series);
    put_label(&series, "__name__", "good");
    put_sample(&series, 4, 40);
    put_sample(&series, 5, clock_unix_ms(&clock_system) + 3600000);
    put_series(&message, &series);
    assert_int_equal(post(remote, &message, text), 400);
    assert_non_null(strstr(text, "1 samples stored, 4 refused (labels: 3, future: 1)"));
    assert_non_null(strstr(text, "first: a series without a metric name"));
    assert_int_equal(the_store.sample_count, 1);
    assert_true(the_store.samples[0].value == 4);
    buf_done(&series);
    buf_done(&message);
    remote_in_close(remote);
    reset();
}

static void the_series_limit_refuses_new_series_only(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    the_store.series_limit = 1;
    struct buf first = one_series("up", "a", 1, 1);
    struct buf second = one_series("up", "b", 1, 1);
    char text[512];
    assert_int_equal(post(remote, &first, NULL), 204);
    assert_int_equal(post(remote, &second, text), 400);
    assert_non_null(strstr(text, "series_limit: 1"));
    assert_int_equal(post(remote, &first, NULL), 204);
    buf_done(&first);
    buf_done(&second);
    remote_in_close(remote);
    reset();
}

static void rules_are_told_of_what_was_stored_only(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    struct buf message = one_series("up", "a", 1, 1);
    remote_in_set_rules(remote, (struct rules *)&the_store); /* never looked into */
    samples_told = 0;
    assert_int_equal(post(remote, &message, NULL), 204);
    assert_int_equal(samples_told, 1);
    the_store.done_error = ERR_IO;
    assert_int_equal(post(remote, &message, NULL), 500);
    assert_int_equal(samples_told, 1);
    buf_done(&message);
    remote_in_close(remote);
    reset();
}

static void a_busy_or_full_store_asks_to_try_again(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    struct buf message = one_series("up", "a", 1, 1);
    the_store.submit_error = ERR_AGAIN;
    assert_int_equal(post(remote, &message, NULL), 503);
    the_store.submit_error = 0;
    the_store.done_error = ERR_FULL;
    assert_int_equal(post(remote, &message, NULL), 503);
    the_store.done_error = ERR_IO;
    assert_int_equal(post(remote, &message, NULL), 500);
    the_store.done_error = 0;
    assert_int_equal(post(remote, &message, NULL), 204);
    buf_done(&message);
    remote_in_close(remote);
    reset();
}

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    assert_int_equal(send_raw(remote, bytes_of(""), NULL), 400);
    assert_int_equal(send_raw(remote, bytes_of("no snappy"), NULL), 400);
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0};
    assert_int_equal(send_raw(remote, (struct bytes){huge, sizeof huge}, NULL), 413);
    static const char *const broken[] = {
        "\x0a",                                             /* a size is missing */
        "\x0a\x7fxx",                                       /* longer than the rest */
        "\x0a\x02\x0a\x05",                                 /* an inner one is */
        "\x0a\x03\x12\x01\x09",                             /* a cut double */
        "\x03",                                             /* a group */
        "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* an endless varint */
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct buf message = {0};
        buf_put_text(&message, broken[i]);
        assert_int_equal(post(remote, &message, NULL), 400);
        buf_done(&message);
    }
    remote_in_close(remote);
    reset();
}

static void other_encodings_are_told_what_is_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *type, *encoding;
        int status;
    } cases[] = {
        {"application/json", "snappy", 415},
        {"application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", 400},
        {"application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", 415},
        {"application/x-protobuf", "zstd", 415},
        {"application/x-protobufx", "snappy", 415},
        {"application/x-protobuf;proto=prometheus.WriteRequest", "snappy", 400},
        {"", "", 400},
    };
    struct remote_in *remote = open_remote();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request request = {.content_type = cases[i].type,
                                       .content_encoding = cases[i].encoding};
        struct http_response response = {.status = 200};
        finished = false;
        remote_in_handle(remote, &request, &response, &the_pending);
        assert_true(finished);
        assert_int_equal(response.status, cases[i].status);
        buf_done(&response.body);
    }
    remote_in_close(remote);
    reset();
}

static void metadata_reaches_new_series_of_the_family(void **state)
{
    (void)state;
    struct remote_in *remote = open_remote();
    struct buf message = {0};
    struct buf metadata = {0};
    buf_put_varint(&metadata, 1 << 3);
    buf_put_varint(&metadata, 3); /* histogram */
    put_field(&metadata, 2, bytes_of("latency"));
    put_field(&metadata, 4, bytes_of("how long"));
    put_field(&message, 3, buf_bytes(&metadata));
    assert_int_equal(post(remote, &message, NULL), 204);
    struct buf bucket = one_series("latency_bucket", "a", 1, 1);
    assert_int_equal(post(remote, &bucket, NULL), 204);
    assert_int_equal(the_store.series[0]->metadata.type, METRIC_HISTOGRAM);
    buf_done(&message);
    buf_done(&metadata);
    buf_done(&bucket);
    remote_in_close(remote);
    reset();
}

/* ---- the cache alone -------------------------------------------------------------------- */

static int64_t fake_unix(void *context)
{
    (void)context;
    return 0;
}
static mono_ns fake_mono(void *context)
{
    return *(mono_ns *)context;
}

static void idle_series_are_let_go_after_the_writes_that_use_them(void **state)
{
    (void)state;
    mono_ns now = 1;
    const struct clock clock = {fake_unix, fake_mono, &now};
    struct remote_cache *cache = NULL;
    assert_int_equal(remote_cache_open(&the_store, &clock, &cache), 0);
    struct series series = {.references = 1};
    struct series *found = NULL;
    struct remote_key key = remote_cache_key(cache, bytes_of("labels"));
    unsigned ticket = remote_cache_enter(cache);
    assert_int_equal(remote_cache_add(cache, key, &series), 0);
    remote_cache_find(cache, &key, 1, &found);
    assert_ptr_equal(found, &series);
    for (int i = 0; i <= CACHE_IDLE_TURNS; i++) { /* the write is still out */
        now += (mono_ns)CACHE_TURN_MS * NS_PER_MS;
        remote_cache_leave(cache, remote_cache_enter(cache));
    }
    remote_cache_find(cache, &key, 1, &found);
    assert_null(found);
    assert_int_equal(series.references, 1);
    remote_cache_leave(cache, ticket);
    remote_cache_leave(cache, remote_cache_enter(cache));
    assert_int_equal(series.references, 0);
    remote_cache_close(cache);
}

/* An import of names that do not come again must not keep them all for an hour. */
static void the_cache_is_hasty_when_most_is_unused(void **state)
{
    (void)state;
    enum { COUNT = CACHE_HASTE_MIN + 1000, KEPT = 10 };
    mono_ns now = 1;
    const struct clock clock = {fake_unix, fake_mono, &now};
    struct remote_cache *cache = NULL;
    assert_int_equal(remote_cache_open(&the_store, &clock, &cache), 0);
    struct series *series = calloc(COUNT, sizeof *series);
    struct remote_key *keys = calloc(COUNT, sizeof *keys);
    struct series *found[KEPT];
    assert_true(series != NULL && keys != NULL);
    for (size_t i = 0; i < COUNT; i++) {
        keys[i] = remote_cache_key(cache, (struct bytes){(const uint8_t *)&i, sizeof i});
        series[i].references = 1;
        assert_int_equal(remote_cache_add(cache, keys[i], &series[i]), 0);
    }
    for (int i = 0; i <= CACHE_HASTE_TURNS; i++) {
        now += (mono_ns)CACHE_TURN_MS * NS_PER_MS;
        remote_cache_leave(cache, remote_cache_enter(cache));
        remote_cache_find(cache, keys, KEPT, found);
    }
    assert_int_equal(remote_cache_count(cache), KEPT);
    for (size_t i = 0; i < KEPT; i++)
        assert_ptr_equal(found[i], &series[i]);
    remote_cache_leave(cache, remote_cache_enter(cache));
    for (size_t i = KEPT; i < COUNT; i++)
        assert_int_equal(series[i].references, 0);
    remote_cache_close(cache);
    free(series);
    free(keys);
}

static void the_cache_grows_and_forgets_nothing(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct remote_cache *cache = NULL;
    assert_int_equal(remote_cache_open(&the_store, &clock_system, &cache), 0);
    struct series *series = calloc(COUNT, sizeof *series);
    struct remote_key *keys = calloc(COUNT, sizeof *keys);
    struct series **found = calloc(COUNT, sizeof *found);
    for (size_t i = 0; i < COUNT; i++) {
        keys[i] = remote_cache_key(cache, (struct bytes){(const uint8_t *)&i, sizeof i});
        series[i].references = 1;
        assert_int_equal(remote_cache_add(cache, keys[i], &series[i]), 0);
    }
    remote_cache_find(cache, keys, COUNT, found);
    for (size_t i = 0; i < COUNT; i++)
        assert_ptr_equal(found[i], &series[i]);
    assert_int_equal(remote_cache_count(cache), COUNT);
    remote_cache_close(cache);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(series[i].references, 0);
    free(series);
    free(keys);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_stored_bit_for_bit),
        cmocka_unit_test(a_known_series_is_not_resolved_again),
        cmocka_unit_test(labels_need_not_stand_in_a_row_nor_be_sorted),
        cmocka_unit_test(good_series_are_stored_beside_bad_ones),
        cmocka_unit_test(the_series_limit_refuses_new_series_only),
        cmocka_unit_test(rules_are_told_of_what_was_stored_only),
        cmocka_unit_test(a_busy_or_full_store_asks_to_try_again),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(other_encodings_are_told_what_is_wanted),
        cmocka_unit_test(metadata_reaches_new_series_of_the_family),
        cmocka_unit_test(idle_series_are_let_go_after_the_writes_that_use_them),
        cmocka_unit_test(the_cache_is_hasty_when_most_is_unused),
        cmocka_unit_test(the_cache_grows_and_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
