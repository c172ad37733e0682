/*
 * test_labels.c - label sets: built, compared, hashed, printed, stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/series/labels.h"
#include "proto/base/error.h"

static struct label pair(const char *name, const char *value)
{
    return (struct label){bytes_of(name), bytes_of(value)};
}

static const struct labels *build(const struct label *pairs, size_t count)
{
    const struct labels *labels = NULL;
    assert_int_equal(labels_build(pairs, count, NULL, &labels), 0);
    return labels;
}

static void pairs_come_out_sorted_and_terminated(void **state)
{
    (void)state;
    struct label pairs[] = {pair("zone", "gov"), pair("__name__", "up"), pair("empty", ""),
                            pair("job", "node")};
    const struct labels *labels = build(pairs, 4);
    assert_int_equal(labels->count, 3);
    assert_string_equal((const char *)labels->pairs[0].name.data, "__name__");
    assert_string_equal((const char *)labels->pairs[1].value.data, "node");
    assert_string_equal((const char *)labels->pairs[2].name.data, "zone");
    assert_int_equal(labels_get_text(labels, "empty").size, 0);
    assert_string_equal((const char *)labels_get_text(labels, "zone").data, "gov");
    labels_free(labels);
}

static void what_is_no_label_set_is_refused(void **state)
{
    (void)state;
    static char huge[LABEL_VALUE_BYTES_MAX + 2];
    memset(huge, 'x', sizeof huge - 1);
    const struct {
        const char *because;
        struct label pairs[2];
        int error;
    } cases[] = {
        {"a name twice", {pair("a", "1"), pair("a", "2")}, ERR_INVALID},
        {"a name twice with one value", {pair("a", "1"), pair("a", "1")}, ERR_INVALID},
        {"no name", {pair("", "1"), pair("a", "2")}, ERR_INVALID},
        {"no UTF-8 in a value", {pair("a", "\xff"), pair("b", "2")}, ERR_MALFORMED},
        {"a surrogate", {pair("a", "\xed\xa0\x80"), pair("b", "2")}, ERR_MALFORMED},
        {"an overlong slash", {pair("a", "\xc0\xaf"), pair("b", "2")}, ERR_MALFORMED},
        {"a NUL",
         {{bytes_of("a"), {(const uint8_t *)"x\0y", 3}}, pair("b", "2")},
         ERR_MALFORMED},
        {"a value too long", {pair("a", huge), pair("b", "2")}, ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct labels *labels = NULL;
        int error = labels_build(cases[i].pairs, 2, NULL, &labels);
        if (error != cases[i].error)
            fail_msg("%s: %d", cases[i].because, error);
        assert_null(labels);
    }
}

static void equal_sets_have_equal_hashes_whatever_the_order(void **state)
{
    (void)state;
    struct label one[] = {pair("a", "1"), pair("b", "2")};
    struct label two[] = {pair("b", "2"), pair("c", ""), pair("a", "1")};
    struct label other[] = {pair("a", "12"), pair("b", "")};
    const struct labels *a = build(one, 2);
    const struct labels *b = build(two, 3);
    const struct labels *c = build(other, 2);
    assert_true(a->hash == b->hash);
    assert_true(labels_equal(a, b));
    assert_true(a->hash != c->hash);
    assert_false(labels_equal(a, c));
    labels_free(a);
    labels_free(b);
    labels_free(c);
}

static void long_sets_hash_as_short_ones_do(void **state)
{
    (void)state;
    static char value[2000];
    memset(value, 'v', sizeof value - 1);
    struct label one[] = {pair("a", value), pair("b", "2")};
    struct label two[] = {pair("b", "2"), pair("a", value)};
    const struct labels *a = build(one, 2);
    const struct labels *b = build(two, 2);
    assert_true(a->hash == b->hash);
    labels_free(a);
    labels_free(b);
}

static void order_is_pair_by_pair_then_fewer_first(void **state)
{
    (void)state;
    struct label sets[][2] = {
        {pair("a", "1"), pair("z", "")},  {pair("a", "1"), pair("b", "1")},
        {pair("a", "1"), pair("c", "0")}, {pair("a", "2"), pair("b", "0")},
        {pair("b", "0"), pair("z", "")},
    };
    const struct labels *built[5];
    for (size_t i = 0; i < 5; i++)
        built[i] = build(sets[i], 2);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++) {
            int order = labels_compare(built[i], built[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    for (size_t i = 0; i < 5; i++)
        labels_free(built[i]);
}

static void printing_is_prometheus_s(void **state)
{
    (void)state;
    const struct {
        struct label pairs[2];
        const char *text, *pairs_text;
    } cases[] = {
        {{pair("__name__", "up"), pair("a", "")}, "up", "{__name__=\"up\"}"},
        {{pair("__name__", "up"), pair("job", "n\"\n\\")},
         "up{job=\"n\\\"\\n\\\\\"}",
         "{__name__=\"up\", job=\"n\\\"\\n\\\\\"}"},
        {{pair("__name__", "disk.used"), pair("host.name", "\xe7\x83\xbd")},
         "{\"disk.used\", \"host.name\"=\"\xe7\x83\xbd\"}",
         "{__name__=\"disk.used\", \"host.name\"=\"\xe7\x83\xbd\"}"},
        {{pair("a", "\x01\xc2\xa0"), pair("b", "2")},
         "{a=\"\\x01\\u00a0\", b=\"2\"}",
         "{a=\"\\x01\\u00a0\", b=\"2\"}"},
        {{pair("a", ""), pair("b", "")}, "{}", "{}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        const struct labels *labels = build(cases[i].pairs, 2);
        labels_print(labels, &out);
        assert_string_equal(buf_text(&out), cases[i].text);
        buf_clear(&out);
        labels_print_pairs(labels, &out);
        assert_string_equal(buf_text(&out), cases[i].pairs_text);
        labels_free(labels);
        buf_done(&out);
    }
}

/* XXH64 of sizes and texts, as XXH64 of other makers has it. */
static void the_place_in_a_sample_is_prometheus_s(void **state)
{
    (void)state;
    char longer[301];
    memset(longer, 'x', 300);
    longer[300] = '\0';
    const struct label up[] = {{bytes_of("job"), bytes_of("node")},
                               {bytes_of("__name__"), bytes_of("up")}};
    const struct label large[] = {{bytes_of("a"), bytes_of(longer)}};
    const struct {
        const struct label *pairs;
        size_t count;
        uint64_t hash;
    } cases[] = {
        {up, 0, UINT64_C(0xef46db3751d8e999)},
        {up, 2, UINT64_C(0x169f7118f8936ba5)},
        {large, 1, UINT64_C(0x7334729f4d20ea0b)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct labels *labels = NULL;
        assert_int_equal(labels_build(cases[i].pairs, cases[i].count, NULL, &labels), 0);
        assert_true(labels_prometheus_hash(labels) == cases[i].hash);
        labels_free(labels);
    }
}

static void the_fingerprint_is_alertmanager_s(void **state)
{
    (void)state;
    /* FNV-1a 64 of nothing is its offset basis; of "a" FF "b" FF computed by hand. */
    const struct labels *none = build(NULL, 0);
    assert_true(labels_fingerprint(none) == UINT64_C(0xcbf29ce484222325));
    labels_free(none);
    struct label pairs[] = {pair("a", "b")};
    const struct labels *one = build(pairs, 1);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const uint8_t bytes[] = {'a', 0xff, 'b', 0xff};
    for (size_t i = 0; i < sizeof bytes; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    assert_true(labels_fingerprint(one) == hash);
    labels_free(one);
}

static void what_was_written_reads_back_and_half_of_it_does_not(void **state)
{
    (void)state;
    struct label pairs[] = {pair("__name__", "up"), pair("job", "node"), pair("z", "\xc3\xa9")};
    const struct labels *labels = build(pairs, 3);
    struct buf out = {0};
    labels_write(labels, &out);
    struct reader reader = reader_of(buf_bytes(&out));
    const struct labels *again = NULL;
    assert_int_equal(labels_read(&reader, NULL, &again), 0);
    assert_true(labels_equal(labels, again));
    assert_int_equal(reader_left(&reader), 0);
    labels_free(again);
    for (size_t size = 0; size < out.size; size++) {
        reader = reader_of((struct bytes){out.data, size});
        again = NULL;
        assert_int_equal(labels_read(&reader, NULL, &again), ERR_MALFORMED);
        assert_null(again);
    }
    labels_free(labels);
    buf_done(&out);
}

static void a_builder_sets_replaces_and_deletes(void **state)
{
    (void)state;
    struct label pairs[] = {pair("__name__", "up"), pair("job", "node")};
    const struct labels *from = build(pairs, 2);
    struct labels_builder builder;
    const struct labels *to = NULL;
    labels_builder_init(&builder);
    labels_builder_reset(&builder, from);
    labels_builder_delete(&builder, bytes_of("__name__"));
    labels_builder_set(&builder, bytes_of("job"), bytes_of("mysql"));
    labels_builder_set(&builder, bytes_of("zone"), bytes_of("gov"));
    labels_builder_set(&builder, bytes_of("gone"), bytes_of(""));
    assert_int_equal(labels_builder_build(&builder, NULL, &to), 0);
    struct buf out = {0};
    labels_print(to, &out);
    assert_string_equal(buf_text(&out), "{job=\"mysql\", zone=\"gov\"}");
    buf_done(&out);
    labels_free(to);
    labels_free(from);
    labels_builder_done(&builder);
}

static void an_arena_s_ceiling_is_an_error(void **state)
{
    (void)state;
    struct label pairs[] = {pair("__name__", "up"), pair("job", "node")};
    struct arena arena;
    const struct labels *labels = NULL;
    for (size_t limit = 0; labels == NULL; limit += 16) {
        assert_true(limit < 4096);
        arena_init(&arena, limit);
        int error = labels_build(pairs, 2, &arena, &labels);
        assert_true(error == 0 || (error == ERR_NOMEM && labels == NULL));
        if (error == 0)
            assert_int_equal(labels->count, 2);
        arena_reset(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_out_sorted_and_terminated),
        cmocka_unit_test(what_is_no_label_set_is_refused),
        cmocka_unit_test(equal_sets_have_equal_hashes_whatever_the_order),
        cmocka_unit_test(long_sets_hash_as_short_ones_do),
        cmocka_unit_test(order_is_pair_by_pair_then_fewer_first),
        cmocka_unit_test(printing_is_prometheus_s),
        cmocka_unit_test(the_place_in_a_sample_is_prometheus_s),
        cmocka_unit_test(the_fingerprint_is_alertmanager_s),
        cmocka_unit_test(what_was_written_reads_back_and_half_of_it_does_not),
        cmocka_unit_test(a_builder_sets_replaces_and_deletes),
        cmocka_unit_test(an_arena_s_ceiling_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
