/*
 * test_remote_v2.c - remote write 2.0: the parser, and which message a Content-Type announces.
 *
 * Messages are encoded here, from schema/remote_v2.proto, so that the parser meets a second
 * reading of it; what the collector answers is in integration/test_remote_write_v2.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the above first
#include <cmocka.h>

#include "collector/http/remote_parse.h"
#include "collector/http/remote_type.h"
#include "proto/base/error.h"

static void put_field(struct buf *out, unsigned number, struct bytes bytes)
{
    buf_put_varint(out, number << 3 | 2);
    buf_put_sized(out, bytes);
}

static void put_symbols(struct buf *message, const char *const *texts)
{
    for (; *texts != NULL; texts++)
        put_field(message, 4, bytes_of(*texts));
}

static void put_sample(struct buf *series, double value, int64_t ts_ms)
{
    struct buf sample = {0};
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    buf_put_varint(&sample, 1 << 3 | 1);
    buf_put_u64(&sample, bits);
    buf_put_varint(&sample, 2 << 3);
    buf_put_varint(&sample, (uint64_t)ts_ms);
    buf_put_varint(&sample, 3 << 3); /* 2.0-rc.4: when the counter began */
    buf_put_varint(&sample, 1);
    put_field(series, 2, buf_bytes(&sample));
    buf_done(&sample);
}

static void put_refs(struct buf *series, const uint32_t *refs, size_t count)
{
    struct buf packed = {0};
    for (size_t i = 0; i < count; i++)
        buf_put_varint(&packed, refs[i]);
    put_field(series, 1, buf_bytes(&packed));
    buf_done(&packed);
}

static void put_metadata(struct buf *series, unsigned type, unsigned help, unsigned unit)
{
    struct buf out = {0};
    const unsigned values[] = {1, type, 3, help, 4, unit};
    for (size_t i = 0; i < 6; i += 2) {
        buf_put_varint(&out, values[i] << 3);
        buf_put_varint(&out, values[i + 1]);
    }
    put_field(series, 5, buf_bytes(&out));
    buf_done(&out);
}

static void put_series(struct buf *message, struct buf *series)
{
    put_field(message, 5, buf_bytes(series));
    buf_clear(series);
}

static const char *const symbols[] = {"", "__name__", "up", "instance", "a", "is it?", "s", NULL};

static void expect_label(const struct remote_series *series, size_t at, const char *name,
                         const char *value)
{
    struct label labels[SERIES_LABELS_MAX];
    size_t count = 0;
    assert_int_equal(remote_labels(series, labels, SERIES_LABELS_MAX, &count), 0);
    assert_true(at < count);
    assert_true(bytes_equal(labels[at].name, bytes_of(name)));
    assert_true(bytes_equal(labels[at].value, bytes_of(value)));
}

static void labels_come_from_the_table(void **state)
{
    struct buf message = {0}, series = {0};
    struct remote_message parsed = {0};
    (void)state;
    put_symbols(&message, symbols);
    put_refs(&series, (const uint32_t[]){1, 2, 3, 4}, 4);
    put_sample(&series, 1.5, 1000);
    put_sample(&series, 2.5, 2000);
    put_metadata(&series, 2, 5, 6);
    put_series(&message, &series);
    put_refs(&series, (const uint32_t[]){1, 2}, 2);
    put_sample(&series, 3.5, 3000);
    put_series(&message, &series);
    assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), 0);
    assert_int_equal(parsed.series_count, 2);
    assert_int_equal(parsed.sample_count, 3);
    expect_label(&parsed.series[0], 0, "__name__", "up");
    expect_label(&parsed.series[0], 1, "instance", "a");
    expect_label(&parsed.series[1], 0, "__name__", "up");
    assert_int_equal(parsed.series[0].sample_count, 2);
    assert_int_equal(parsed.series[1].first_sample, 2);
    assert_true(parsed.samples[1].value == 2.5 && parsed.samples[1].ts_ms == 2000);
    assert_int_equal(parsed.metadata_count, 1);
    assert_int_equal(parsed.metadata[0].metadata.type, METRIC_GAUGE);
    assert_true(bytes_equal(parsed.metadata[0].metadata.help, bytes_of("is it?")));
    assert_true(bytes_equal(parsed.metadata[0].metadata.unit, bytes_of("s")));
    remote_message_done(&parsed);
    buf_done(&message);
    buf_done(&series);
}

/* The same series of 1.0 and 2.0 have one name in the cache. */
static void the_run_is_what_version_one_sends(void **state)
{
    static const uint8_t expected[] = "\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x0d\x0a\x08instance"
                                      "\x12\x01""a";
    struct buf message = {0}, series = {0};
    struct remote_message parsed = {0};
    (void)state;
    put_symbols(&message, symbols);
    put_refs(&series, (const uint32_t[]){1, 2, 3, 4}, 4);
    put_sample(&series, 1, 1);
    put_series(&message, &series);
    assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), 0);
    assert_int_equal(parsed.series[0].label_run.size, sizeof expected - 1);
    assert_memory_equal(parsed.series[0].label_run.data, expected, sizeof expected - 1);
    remote_message_done(&parsed);
    buf_done(&message);
    buf_done(&series);
}

/* Unpacked refs in pieces, series before the table, fields nobody knows. */
static void any_order_and_packing_is_read(void **state)
{
    struct buf message = {0}, series = {0};
    struct remote_message parsed = {0};
    (void)state;
    buf_put_varint(&series, 1 << 3);
    buf_put_varint(&series, 1);
    put_sample(&series, 7, 70);
    put_refs(&series, (const uint32_t[]){2}, 1);
    buf_put_varint(&series, 6 << 3); /* created timestamp */
    buf_put_varint(&series, 12345);
    put_field(&series, 15, bytes_of("later"));
    put_series(&message, &series);
    put_symbols(&message, symbols);
    put_field(&message, 9, bytes_of("later"));
    assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), 0);
    assert_int_equal(parsed.series_count, 1);
    expect_label(&parsed.series[0], 0, "__name__", "up");
    remote_message_done(&parsed);
    buf_done(&message);
    buf_done(&series);
}

static void histograms_and_exemplars_are_counted(void **state)
{
    struct buf message = {0}, series = {0};
    struct remote_message parsed = {0};
    (void)state;
    put_symbols(&message, symbols);
    put_refs(&series, (const uint32_t[]){1, 2}, 2);
    put_field(&series, 3, bytes_of("h"));
    put_field(&series, 3, bytes_of("h"));
    put_field(&series, 4, bytes_of("e"));
    put_series(&message, &series);
    assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), 0);
    assert_int_equal(parsed.histograms, 2);
    assert_int_equal(parsed.exemplars, 1);
    assert_int_equal(parsed.series[0].sample_count, 0);
    remote_message_done(&parsed);
    buf_done(&message);
    buf_done(&series);
}

static void a_family_is_told_once(void **state)
{
    static const char *const names[] = {"",      "__name__", "wait_bucket", "le",
                                        "1",     "wait_sum", "how long",    NULL};
    struct buf message = {0}, series = {0};
    struct remote_message parsed = {0};
    (void)state;
    put_symbols(&message, names);
    for (int i = 0; i < 3; i++) {
        put_refs(&series, (const uint32_t[]){1, 2, 3, 4}, 4);
        put_sample(&series, i, i);
        put_metadata(&series, 3, 6, 0);
        put_series(&message, &series);
    }
    assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), 0);
    assert_int_equal(parsed.metadata_count, 1);
    assert_true(bytes_equal(parsed.metadata[0].name, bytes_of("wait")));
    assert_int_equal(parsed.metadata[0].metadata.type, METRIC_HISTOGRAM);
    remote_message_done(&parsed);
    buf_done(&message);
    buf_done(&series);
}

static void labels_past_the_limits_are_marked(void **state)
{
    struct buf message = {0}, series = {0}, text = {0};
    struct remote_message parsed = {0};
    uint32_t many[2 * SERIES_LABELS_MAX + 2];
    (void)state;
    put_symbols(&message, (const char *const[]){"", "__name__", "up", NULL});
    for (size_t i = 0; i <= LABEL_VALUE_BYTES_MAX; i++)
        buf_put_char(&text, 'x');
    put_field(&message, 4, buf_bytes(&text));
    put_refs(&series, (const uint32_t[]){1, 2, 1, 3}, 4);
    put_series(&message, &series);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = 1;
    put_refs(&series, many, sizeof many / sizeof *many);
    put_series(&message, &series);
    put_refs(&series, (const uint32_t[]){1, 2}, 2);
    put_sample(&series, 1, 1);
    put_series(&message, &series);
    assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), 0);
    assert_true(parsed.series[0].is_unfit && parsed.series[1].is_unfit);
    assert_int_equal(parsed.series[0].label_run.size, 0);
    expect_label(&parsed.series[2], 0, "__name__", "up");
    remote_message_done(&parsed);
    buf_done(&text);
    buf_done(&message);
    buf_done(&series);
}

static void what_leads_nowhere_is_refused(void **state)
{
    const struct {
        const char *const *table;
        uint32_t refs[4];
        size_t count;
    } cases[] = {
        {symbols, {1, 2, 1, 7}, 4},                       /* past the table */
        {symbols, {1, 2, 3}, 3},                          /* half a label */
        {(const char *const[]){"x", "__name__", NULL}, {1, 0}, 2}, /* no empty text first */
        {(const char *const[]){NULL}, {0, 0}, 2},         /* no table */
        {(const char *const[]){NULL}, {0}, 0},            /* nor any need of one */
    };
    struct remote_message parsed = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf message = {0}, series = {0};
        put_symbols(&message, cases[i].table);
        put_refs(&series, cases[i].refs, cases[i].count);
        put_series(&message, &series);
        assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), ERR_MALFORMED);
        buf_done(&message);
        buf_done(&series);
    }
    remote_message_done(&parsed);
}

/* A kilobyte that stands for a gigabyte of labels. */
static void an_expansion_is_bounded(void **state)
{
    struct buf message = {0}, series = {0}, text = {0};
    struct remote_message parsed = {0};
    (void)state;
    put_symbols(&message, (const char *const[]){"", NULL});
    for (size_t i = 0; i < LABEL_VALUE_BYTES_MAX; i++)
        buf_put_char(&text, 'x');
    put_field(&message, 4, buf_bytes(&text));
    uint32_t refs[2 * SERIES_LABELS_MAX];
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++)
        refs[i] = i % 2;
    for (int i = 0; i < 1100; i++) {
        put_refs(&series, refs, sizeof refs / sizeof *refs);
        put_series(&message, &series);
    }
    assert_int_equal(remote_parse_v2(buf_bytes(&message), &parsed), ERR_LIMIT);
    remote_message_done(&parsed);
    buf_done(&text);
    buf_done(&message);
    buf_done(&series);
}

static void a_content_type_is_read_as_http_has_it(void **state)
{
    static const struct {
        const char *text;
        enum remote_type type;
    } cases[] = {
        {"", REMOTE_V1},
        {"application/x-protobuf", REMOTE_V1},
        {"Application/X-Protobuf", REMOTE_V1},
        {"application/x-protobuf;", REMOTE_V1},
        {"application/x-protobuf;proto=prometheus.WriteRequest", REMOTE_V1},
        {"application/x-protobuf;proto=io.prometheus.write.v2.Request", REMOTE_V2},
        {"application/x-protobuf ; PROTO=io.prometheus.write.v2.Request", REMOTE_V2},
        {"application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"", REMOTE_V2},
        {"application/x-protobuf;q=1;proto=io.prometheus.write.v2.Request;x=y", REMOTE_V2},
        {"application/x-protobuf;proto=io.prometheus.write.v2.RequestX", REMOTE_NONE},
        {"application/x-protobuf;proto=io.prometheus.write.v3.Request", REMOTE_NONE},
        {"application/x-protobuf;proto=\"prometheus.WriteRequest", REMOTE_NONE},
        {"application/x-protobuf;proto=prometheus.WriteRequest x", REMOTE_NONE},
        {"application/x-protobufx", REMOTE_NONE},
        {"application/json", REMOTE_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(remote_type_of(cases[i].text), cases[i].type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_come_from_the_table),
        cmocka_unit_test(the_run_is_what_version_one_sends),
        cmocka_unit_test(any_order_and_packing_is_read),
        cmocka_unit_test(histograms_and_exemplars_are_counted),
        cmocka_unit_test(a_family_is_told_once),
        cmocka_unit_test(labels_past_the_limits_are_marked),
        cmocka_unit_test(what_leads_nowhere_is_refused),
        cmocka_unit_test(an_expansion_is_bounded),
        cmocka_unit_test(a_content_type_is_read_as_http_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
