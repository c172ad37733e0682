/*
 * test_plain.c - the plain form: what goes in comes out, and nothing else gets in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "proto/wire/envelope.h"
#include "proto/wire/plain.h"
#include "tests/unit/wire_samples.h"

#define ARENA_BYTES ((size_t)16 << 20)

static void everything_survives(void **state)
{
    struct arena arena;
    struct buf buf = {0};
    struct plain_batch got;
    struct plain_batch batch = sample_batch();
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(plain_write(&batch, &buf), 0);
    assert_int_equal(plain_read(buf_bytes(&buf), &arena, &got), 0);
    assert_same_batch(&batch, &got);
    arena_reset(&arena);
    buf_done(&buf);
}

static void an_empty_batch_survives(void **state)
{
    struct arena arena;
    struct buf buf = {0};
    struct plain_batch got;
    const struct plain_batch batch = {.tick_ms = INT64_MIN};
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(plain_write(&batch, &buf), 0);
    assert_int_equal(plain_read(buf_bytes(&buf), &arena, &got), 0);
    assert_same_batch(&batch, &got);
    arena_reset(&arena);
    buf_done(&buf);
}

/* The table in plain.c, written out by hand once. */
static void the_bytes_are_those_of_the_table(void **state)
{
    static const uint64_t refs[] = {1, 300};
    static const double values[] = {1.0, -0.0};
    static const uint64_t ended[] = {7};
    static const struct log_line line = {5, 999, 4, 1, {(const uint8_t *)"hi", 2}};
    static const struct log_chunk chunk = {2, {(const uint8_t *)"/l", 2}, &line, 1};
    static const struct record record = {2, 1001, {(const uint8_t *)"e", 1}};
    const struct plain_batch batch = {
        .tick_ms = 1000,
        .definition_count = 301,
        .samples = {refs, values, 2},
        .ended = ended,
        .ended_count = 1,
        .logs = &chunk,
        .log_count = 1,
        .records = &record,
        .record_count = 1,
    };
    static const uint8_t expected[] = {
        1, 0xE8, 3,    0,   0, 0, 0,    0,    0,   0xAD, 2, /* version, tick, definitions */
        2, 1,    0xAB, 2,                                   /* refs */
        0, 0,    0,    0,   0, 0, 0xF0, 0x3F, 0,   0,    0,   0,   0, 0, 0, 0x80, /* values */
        0,                                                                        /* late */
        1, 7,                                                                     /* ended */
        1, 2,    0,    0,   0, 0, 0,    0,    0,   2,    '/', 'l', 1, 5, 1, 4,
        1, 2,    'h',  'i', 1, 2, 2,    1,    'e',
    };
    struct buf buf = {0};
    (void)state;

    assert_int_equal(plain_write(&batch, &buf), 0);
    assert_int_equal(buf.size, sizeof expected);
    assert_memory_equal(buf.data, expected, sizeof expected);
    assert_true(plain_hash(buf_bytes(&buf)) != 0);
    buf_done(&buf);
}

static void what_breaks_a_limit_is_refused_by_the_writer(void **state)
{
    static const uint64_t descending[] = {2, 1};
    static const uint64_t doubled[] = {2, 2};
    static const uint64_t large[] = {8};
    static const double values[] = {0, 0};
    static const struct late_samples late = {0, {descending, values, 2}};
    static const struct log_line long_line = {
        .text = {(const uint8_t *)"", LOG_LINE_BYTES_MAX + 1}};
    static const struct log_line backwards[] = {{.offset = 5}, {.offset = 5}};
    static const struct log_chunk long_chunk = {.lines = &long_line, .count = 1};
    static const struct log_chunk back_chunk = {.lines = backwards, .count = 2};
    static const struct log_chunk long_path = {
        .path = {(const uint8_t *)"", LOG_PATH_BYTES_MAX + 1}};
    static const struct log_chunk many_lines = {.count = BATCH_LOG_LINES_MAX + 1};
    static const struct record long_record = {
        .data = {(const uint8_t *)"", RECORD_BYTES_MAX + 1}};
    static const struct {
        const char *because;
        struct plain_batch batch;
    } unfit[] = {
        {"refs descend", {.definition_count = 8, .samples = {descending, values, 2}}},
        {"a ref twice", {.definition_count = 8, .samples = {doubled, values, 2}}},
        {"a ref not defined", {.definition_count = 8, .samples = {large, values, 1}}},
        {"too many samples", {.samples = {.count = BATCH_SAMPLES_MAX + 1}}},
        {"too many definitions", {.definition_count = REFS_MAX + 1}},
        {"too many late groups", {.late_count = BATCH_LATE_MAX + 1}},
        {"late refs descend", {.definition_count = 8, .late = &late, .late_count = 1}},
        {"ended refs descend", {.definition_count = 8, .ended = descending, .ended_count = 2}},
        {"an ended ref not defined", {.definition_count = 8, .ended = large, .ended_count = 1}},
        {"too many chunks", {.log_count = BATCH_LOG_CHUNKS_MAX + 1}},
        {"too many records", {.record_count = BATCH_RECORDS_MAX + 1}},
        {"a line too long", {.logs = &long_chunk, .log_count = 1}},
        {"lines out of order", {.logs = &back_chunk, .log_count = 1}},
        {"a path too long", {.logs = &long_path, .log_count = 1}},
        {"too many lines", {.logs = &many_lines, .log_count = 1}},
        {"a record too long", {.records = &long_record, .record_count = 1}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        struct buf buf = {0};
        print_message("%s\n", unfit[i].because);
        assert_int_equal(plain_write(&unfit[i].batch, &buf), ERR_LIMIT);
        assert_int_equal(buf.size, 0);
        buf_done(&buf);
    }
}

static void a_batch_of_too_many_bytes_is_refused_and_leaves_the_buffer_as_it_was(void **state)
{
    uint8_t *data = calloc(1, RECORD_BYTES_MAX);
    const struct record record = {.kind = 1, .data = {data, RECORD_BYTES_MAX}};
    const struct record records[] = {record, record};
    const struct plain_batch batch = {.records = records, .record_count = 2};
    struct buf buf = {0};
    (void)state;

    assert_non_null(data);
    buf_put_text(&buf, "before");
    assert_int_equal(plain_write(&batch, &buf), ERR_LIMIT);
    assert_int_equal(buf.size, 6);
    buf_done(&buf);
    free(data);
}

static void the_reader_refuses_what_the_writer_would_not_write(void **state)
{
#define HEAD "\x01\0\0\0\0\0\0\0\0"
    static const struct {
        const char *because;
        const char *bytes;
        size_t size;
        int error;
    } cases[] = {
        {"nothing", "", 0, ERR_MALFORMED},
        {"version 2", "\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15, ERR_MALFORMED},
        {"a byte too many", HEAD "\0\0\0\0\0\0\0", 16, ERR_MALFORMED},
        {"more samples than bytes", HEAD "\x7F\x7F", 11, ERR_MALFORMED},
        {"more samples than the limit", HEAD "\x7F\xFF\xFF\xFF\x0F", 14, ERR_LIMIT},
        {"more samples than 64 bits", HEAD "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 20,
         ERR_MALFORMED},
        {"a ref twice",
         HEAD "\x7F\x02\x01\0"
              "0123456701234567"
              "\0\0\0\0",
         33, ERR_MALFORMED},
        {"a ref not defined",
         HEAD "\x01\x01\x01"
              "01234567"
              "\0\0\0\0",
         24, ERR_LIMIT},
        {"more lines than bytes",
         HEAD "\x7F\0\0\0\x01"
              "01234567"
              "\0\x7F",
         24, ERR_MALFORMED},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        struct plain_batch got = {.tick_ms = 77};
        print_message("%s\n", cases[i].because);
        arena_init(&arena, ARENA_BYTES);
        struct bytes bytes = {(const uint8_t *)cases[i].bytes, cases[i].size};
        assert_int_equal(plain_read(bytes, &arena, &got), cases[i].error);
        assert_int_equal(got.tick_ms, 77);
        arena_reset(&arena);
    }
}

static void no_prefix_reads_as_a_batch(void **state)
{
    struct buf buf = {0};
    struct plain_batch batch = sample_batch();
    (void)state;

    assert_int_equal(plain_write(&batch, &buf), 0);
    for (size_t size = 0; size < buf.size; size++) {
        struct arena arena;
        struct plain_batch got;
        arena_init(&arena, ARENA_BYTES);
        uint8_t *copy = malloc(size + 1); /* so that a sanitizer sees an overread */
        assert_non_null(copy);
        memcpy(copy, buf.data, size);
        assert_int_not_equal(plain_read((struct bytes){copy, size}, &arena, &got), 0);
        free(copy);
        arena_reset(&arena);
    }
    buf_done(&buf);
}

static void running_out_of_memory_anywhere_is_survived(void **state)
{
    struct buf buf = {0};
    struct plain_batch batch = sample_batch();
    int failures = 0;
    (void)state;

    assert_int_equal(plain_write(&batch, &buf), 0);
    for (size_t limit = 0;; limit += 16) {
        struct arena arena;
        struct plain_batch got = {.tick_ms = 77};
        arena_init(&arena, limit);
        int error = plain_read(buf_bytes(&buf), &arena, &got);
        arena_reset(&arena);
        if (error == 0)
            break;
        assert_int_equal(error, ERR_NOMEM);
        assert_int_equal(got.tick_ms, 77);
        failures++;
    }
    assert_true(failures > 10);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_survives),
        cmocka_unit_test(an_empty_batch_survives),
        cmocka_unit_test(the_bytes_are_those_of_the_table),
        cmocka_unit_test(what_breaks_a_limit_is_refused_by_the_writer),
        cmocka_unit_test(a_batch_of_too_many_bytes_is_refused_and_leaves_the_buffer_as_it_was),
        cmocka_unit_test(the_reader_refuses_what_the_writer_would_not_write),
        cmocka_unit_test(no_prefix_reads_as_a_batch),
        cmocka_unit_test(running_out_of_memory_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
