/*
 * wire_samples.h - a batch with something of everything, and how to compare two.
 *
 * Include after cmocka.h.  Values are compared by their bits: NaN payloads and signs of zero
 * count.
 */
#pragma once

#include "proto/wire/plain.h"

#define TEXT(literal)                                                                          \
    {                                                                                          \
        (const uint8_t *)(literal), sizeof(literal) - 1                                        \
    }

static const uint64_t sample_refs[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 40, 41, 1000, 16383};
static const uint64_t sample_value_bits[] = {
    0x0000000000000000,                     /* 0 */
    0x8000000000000000,                     /* -0.0 */
    0x7FF0000000000000,                     /* infinities */
    0xFFF0000000000000, 0x7FF8000000000001, /* Prometheus's ordinary NaN */
    0x7FF0000000000002,                     /* its stale marker, a signalling NaN */
    0xFFF8000000ABCDEF,                     /* a payload of somebody's */
    0x0000000000000001,                     /* smallest */
    0x7FEFFFFFFFFFFFFF,                     /* largest */
    0x40C81CD6C8B43958,                     /* 12345.678 */
    0x3FD5555555555555,                     /* 1/3 */
    0xC0F86A0000000000,                     /* -100000 */
    0x4340000000000000,                     /* 2^53 */
    0x3FB999999999999A,                     /* 0.1 */
};
static double sample_values[14];
static const uint64_t sample_late_refs[] = {3, 9};
static const double sample_late_values[] = {2.5, -7};
static const struct late_samples sample_late[] = {
    {1700000000123, {sample_late_refs, sample_late_values, 2}},
    {1699999990000, {sample_late_refs, sample_late_values, 1}},
};
static const uint64_t sample_ended[] = {0, 12, 16382};
static const struct log_line sample_lines[] = {
    {0, 1700000000001, 4, 0, TEXT("first line")},
    {11, 1699999999999, 0, LOG_LINE_CUT | LOG_LINE_REPLACED, TEXT("nul \0 inside")},
    {UINT64_C(1) << 40, 1700000000002, 8, LOG_LINE_MULTI,
     TEXT("\xE7\x83\xBD\xE7\x87\xA7\n  at x")},
    {(UINT64_C(1) << 40) + 1, 0, 0, 0, TEXT("")},
};
/* Enough of the same to travel compressed. */
#define REPEATED                                                                               \
    TEXT("2026-01-01 08:00:00 INFO [main] com.example.Declaration - accepted, 20 persons")
static const struct log_line sample_repeats[] = {
    {100, 1700000000001, 7, 0, REPEATED},
    {180, 1700000000002, 7, 0, REPEATED},
    {260, 1700000000002, 4, 0, REPEATED},
};
static const struct log_chunk sample_logs[] = {
    {UINT64_C(0xFEDCBA9876543210), TEXT("/var/log/messages"), sample_lines, 4},
    {1, TEXT("/var/log/empty"), NULL, 0},
    {2, TEXT("/var/log/app.log"), sample_repeats, 3},
};
#define REPEATED_TEXT                                                                          \
    "/usr/lib/jvm/bin/java -Xmx4g -Dapp=declaration /usr/lib/jvm/bin/java -Xmx4g -Dapp=query "  \
    "/usr/lib/jvm/bin/java -Xmx4g -Dapp=exchange /usr/lib/jvm/bin/java -Xmx4g -Dapp=report "
static const struct record sample_records[] = {
    {RECORD_EVENT, 1700000000000, TEXT("\x0A\x01k")},
    {4711, -1, TEXT("")},
    /* long and repetitive: it travels compressed */
    {RECORD_PROCESS_TABLE, 1700000000000, TEXT(REPEATED_TEXT REPEATED_TEXT REPEATED_TEXT)},
};

static inline struct plain_batch sample_batch(void)
{
    memcpy(sample_values, sample_value_bits, sizeof sample_values);
    return (struct plain_batch){
        .tick_ms = 1700000000000,
        .definition_count = 16384,
        .samples = {sample_refs, sample_values, 14},
        .late = sample_late,
        .late_count = 2,
        .ended = sample_ended,
        .ended_count = 3,
        .logs = sample_logs,
        .log_count = 3,
        .records = sample_records,
        .record_count = 3,
    };
}

static inline void assert_same_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.size, b.size);
    if (a.size > 0)
        assert_memory_equal(a.data, b.data, a.size);
}

static inline void assert_same_columns(const struct sample_columns *a,
                                       const struct sample_columns *b)
{
    assert_int_equal(a->count, b->count);
    if (a->count > 0) {
        assert_memory_equal(a->refs, b->refs, a->count * sizeof *a->refs);
        assert_memory_equal(a->values, b->values, a->count * sizeof *a->values);
    }
}

static inline void assert_same_chunk(const struct log_chunk *a, const struct log_chunk *b)
{
    assert_int_equal(a->file_id, b->file_id);
    assert_same_bytes(a->path, b->path);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->lines[i].offset, b->lines[i].offset);
        assert_int_equal(a->lines[i].ts_ms, b->lines[i].ts_ms);
        assert_int_equal(a->lines[i].severity, b->lines[i].severity);
        assert_int_equal(a->lines[i].flags, b->lines[i].flags);
        assert_same_bytes(a->lines[i].text, b->lines[i].text);
    }
}

static inline void assert_same_batch(const struct plain_batch *a, const struct plain_batch *b)
{
    assert_int_equal(a->tick_ms, b->tick_ms);
    assert_int_equal(a->definition_count, b->definition_count);
    assert_same_columns(&a->samples, &b->samples);
    assert_int_equal(a->late_count, b->late_count);
    for (size_t i = 0; i < a->late_count; i++) {
        assert_int_equal(a->late[i].ts_ms, b->late[i].ts_ms);
        assert_same_columns(&a->late[i].samples, &b->late[i].samples);
    }
    assert_int_equal(a->ended_count, b->ended_count);
    for (size_t i = 0; i < a->ended_count; i++)
        assert_int_equal(a->ended[i], b->ended[i]);
    assert_int_equal(a->log_count, b->log_count);
    for (size_t i = 0; i < a->log_count; i++)
        assert_same_chunk(&a->logs[i], &b->logs[i]);
    assert_int_equal(a->record_count, b->record_count);
    for (size_t i = 0; i < a->record_count; i++) {
        assert_int_equal(a->records[i].kind, b->records[i].kind);
        assert_int_equal(a->records[i].ts_ms, b->records[i].ts_ms);
        assert_same_bytes(a->records[i].data, b->records[i].data);
    }
}
