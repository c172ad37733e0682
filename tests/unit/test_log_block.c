/*
 * test_log_block.c - lines that go into a block come out of it, and nothing else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collector/log/block.h"
#include "proto/base/error.h"

#define ARENA_BYTES ((size_t)16 << 20)

static struct log_line line_of(uint64_t offset, int64_t ts_ms, uint32_t severity,
                               const char *text)
{
    return (struct log_line){
        .offset = offset, .ts_ms = ts_ms, .severity = severity, .text = bytes_of(text)};
}

static struct log_chunk chunk_of(const struct log_line *lines, size_t count)
{
    return (struct log_chunk){.file_id = 7,
                              .path = bytes_of("/var/log/应用/app.log"),
                              .lines = lines,
                              .count = count};
}

static void assert_round_trip(const struct log_chunk *chunk)
{
    struct buf block = {0};
    assert_int_equal(log_block_encode(chunk, &block), 0);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct log_block_info info;
    const struct log_line *lines;
    assert_int_equal(log_block_decode(buf_bytes(&block), &arena, &info, &lines), 0);
    assert_true(bytes_equal(info.path, chunk->path));
    assert_int_equal(info.line_count, chunk->count);
    for (size_t i = 0; i < chunk->count; i++) {
        assert_int_equal(lines[i].offset, chunk->lines[i].offset);
        assert_int_equal(lines[i].ts_ms, chunk->lines[i].ts_ms);
        assert_int_equal(lines[i].severity, chunk->lines[i].severity);
        assert_int_equal(lines[i].flags, chunk->lines[i].flags);
        assert_true(bytes_equal(lines[i].text, chunk->lines[i].text));
    }
    arena_reset(&arena);
    buf_done(&block);
}

static void lines_come_back_as_they_were(void **state)
{
    (void)state;
    struct log_line lines[] = {
        line_of(0, 1000, 0, "first"),
        line_of(6, 1000, 4, ""),
        line_of(7, 999, 8, "time may go back"),
        line_of(UINT64_MAX, INT64_MAX, 1, "数据库连接失败"),
    };
    lines[2].flags = LOG_LINE_CUT | LOG_LINE_MULTI;
    struct log_chunk chunk = chunk_of(lines, 4);
    assert_round_trip(&chunk);
    struct log_line apart[] = {line_of(1, INT64_MIN, 0, "a"), line_of(2, -1, 0, "b")};
    chunk = chunk_of(apart, 2);
    assert_round_trip(&chunk);
}

static void the_header_tells_the_extremes(void **state)
{
    (void)state;
    struct log_line lines[] = {line_of(10, 500, 4, "a"), line_of(20, 300, 7, "bc"),
                               line_of(30, 900, 4, "d")};
    struct log_chunk chunk = chunk_of(lines, 3);
    struct buf block = {0};
    assert_int_equal(log_block_encode(&chunk, &block), 0);
    struct log_block_info info;
    assert_int_equal(log_block_peek(buf_bytes(&block), &info), 0);
    assert_int_equal(info.first_offset, 10);
    assert_int_equal(info.last_offset, 30);
    assert_int_equal(info.min_ms, 300);
    assert_int_equal(info.max_ms, 900);
    assert_int_equal(info.severity_mask, 1 << 4 | 1 << 7);
    assert_int_equal(info.text_bytes, 4);
    buf_done(&block);
}

static void unfit_lines_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *because;
        struct log_line lines[2];
        size_t count;
        int error;
    } cases[] = {
        {"no lines", {{0}}, 0, ERR_INVALID},
        {"offsets must ascend", {{.offset = 5}, {.offset = 5}}, 2, ERR_INVALID},
        {"severities end at debug", {{.severity = 9}}, 1, ERR_INVALID},
        {"flags have names", {{.flags = 8}}, 1, ERR_INVALID},
        {"lines have a limit",
         {{.text = {(const uint8_t *)"", LOG_LINE_BYTES_MAX + 1}}},
         1,
         ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf block = {0};
        struct log_chunk chunk = chunk_of(cases[i].lines, cases[i].count);
        int error = log_block_encode(&chunk, &block);
        if (error != cases[i].error)
            fail_msg("%s: %s", cases[i].because, error_text(error));
        assert_int_equal(block.size, 0);
        buf_done(&block);
    }
}

static void a_full_block_of_text_fits(void **state)
{
    (void)state;
    char *text = malloc(LOG_LINE_BYTES_MAX);
    assert_non_null(text);
    memset(text, 'x', LOG_LINE_BYTES_MAX);
    struct log_line lines[2] = {{.offset = 0}, {.offset = 70000}};
    for (size_t i = 0; i < 2; i++)
        lines[i].text = (struct bytes){(const uint8_t *)text, LOG_LINE_BYTES_MAX};
    struct log_chunk chunk = chunk_of(lines, 2);
    assert_round_trip(&chunk);
    free(text);
}

static void cut_off_blocks_do_not_parse(void **state)
{
    (void)state;
    struct log_line lines[] = {line_of(10, 500, 4, "alpha"), line_of(20, 300, 7, "beta")};
    struct log_chunk chunk = chunk_of(lines, 2);
    struct buf block = {0};
    assert_int_equal(log_block_encode(&chunk, &block), 0);
    for (size_t size = 0; size < block.size; size++) {
        struct arena arena;
        arena_init(&arena, ARENA_BYTES);
        struct log_block_info info;
        const struct log_line *decoded;
        /* A copy of exactly this size, so that ASan sees a read past the end. */
        uint8_t *cut = malloc(size + 1);
        assert_non_null(cut);
        memcpy(cut, block.data, size);
        assert_int_not_equal(
            log_block_decode((struct bytes){cut, size}, &arena, &info, &decoded), 0);
        free(cut);
        arena_reset(&arena);
    }
    buf_done(&block);
}

static void a_small_arena_fails_and_leaves_the_outputs(void **state)
{
    (void)state;
    struct log_line lines[] = {line_of(10, 500, 4, "alpha"), line_of(20, 300, 7, "beta")};
    struct log_chunk chunk = chunk_of(lines, 2);
    struct buf block = {0};
    assert_int_equal(log_block_encode(&chunk, &block), 0);
    int error = ERR_NOMEM;
    for (size_t limit = 0; error != 0; limit += 16) {
        struct arena arena;
        arena_init(&arena, limit);
        struct log_block_info info = {.line_count = 99};
        const struct log_line *decoded = NULL;
        error = log_block_decode(buf_bytes(&block), &arena, &info, &decoded);
        if (error != 0) {
            assert_int_equal(error, ERR_NOMEM);
            assert_int_equal(info.line_count, 99);
            assert_null(decoded);
        }
        arena_reset(&arena);
    }
    buf_done(&block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_back_as_they_were),
        cmocka_unit_test(the_header_tells_the_extremes),
        cmocka_unit_test(unfit_lines_are_refused),
        cmocka_unit_test(a_full_block_of_text_fits),
        cmocka_unit_test(cut_off_blocks_do_not_parse),
        cmocka_unit_test(a_small_arena_fails_and_leaves_the_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
