/*
 * test_log_head.c - the head keeps each line once, in order, until its block is committed.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collector/log/block.h"
#include "collector/log/head.h"

#define ARENA_BYTES ((size_t)64 << 20)

static void append(struct log_head *head, uint64_t stream, uint64_t file, uint64_t offset,
                   size_t expected_taken)
{
    char text[32];
    snprintf(text, sizeof text, "line at %llu", (unsigned long long)offset);
    struct log_line line = {.offset = offset, .ts_ms = (int64_t)offset, .text = bytes_of(text)};
    struct log_chunk chunk = {
        .file_id = file, .path = bytes_of("/var/log/a"), .lines = &line, .count = 1};
    size_t taken = 99;
    assert_int_equal(log_head_append(head, stream, &chunk, &taken), 0);
    assert_int_equal(taken, expected_taken);
}

/* The offsets of a file's lines, as text, and that each line says its own offset. */
static void assert_holds(struct log_head *head, uint64_t stream, uint64_t file,
                         const char *expected)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    const struct log_line *lines;
    size_t count;
    assert_int_equal(
        log_head_read(head, stream, file, INT64_MIN, INT64_MAX, &arena, &lines, &count), 0);
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        char own[32];
        snprintf(own, sizeof own, "line at %llu", (unsigned long long)lines[i].offset);
        assert_true(bytes_equal(lines[i].text, bytes_of(own)));
        buf_printf(&text, "%s%llu", i > 0 ? " " : "", (unsigned long long)lines[i].offset);
    }
    assert_string_equal(buf_text(&text), expected);
    buf_done(&text);
    arena_reset(&arena);
}

static int count_lines(void *context, uint64_t stream_id, const struct log_chunk *chunk)
{
    (void)stream_id;
    *(size_t *)context += chunk->count;
    struct buf block = {0};
    assert_int_equal(log_block_encode(chunk, &block), 0);
    buf_done(&block);
    return 0;
}

static int refuse(void *context, uint64_t stream_id, const struct log_chunk *chunk)
{
    (void)stream_id;
    (void)chunk;
    return ++*(int *)context == 2 ? -5 : 0;
}

static struct log_head *head_new(void)
{
    struct log_head *head;
    assert_int_equal(log_head_new(&head), 0);
    return head;
}

static void lines_arrive_in_any_order_and_count_once(void **state)
{
    (void)state;
    struct log_head *head = head_new();
    append(head, 1, 1, 30, 1);
    append(head, 1, 1, 10, 1);
    append(head, 1, 1, 20, 1);
    append(head, 1, 1, 20, 0);
    append(head, 1, 2, 20, 1);
    append(head, 2, 1, 5, 1);
    assert_holds(head, 1, 1, "10 20 30");
    assert_holds(head, 1, 2, "20");
    assert_holds(head, 2, 1, "5");
    assert_holds(head, 3, 1, "");
    assert_int_equal(log_head_line_count(head), 5);
    log_head_free(head);
}

static void a_chunk_that_overlaps_is_merged(void **state)
{
    (void)state;
    struct log_head *head = head_new();
    append(head, 1, 1, 20, 1);
    append(head, 1, 1, 40, 1);
    struct log_line lines[] = {
        {.offset = 10, .ts_ms = 10, .text = bytes_of("line at 10")},
        {.offset = 20, .ts_ms = 20, .text = bytes_of("line at 20")},
        {.offset = 30, .ts_ms = 30, .text = bytes_of("line at 30")},
        {.offset = 50, .ts_ms = 50, .text = bytes_of("line at 50")},
    };
    struct log_chunk chunk = {
        .file_id = 1, .path = bytes_of("/var/log/a"), .lines = lines, .count = 4};
    size_t taken;
    assert_int_equal(log_head_append(head, 1, &chunk, &taken), 0);
    assert_int_equal(taken, 3);
    assert_holds(head, 1, 1, "10 20 30 40 50");
    log_head_free(head);
}

static void only_retired_lines_leave(void **state)
{
    (void)state;
    struct log_head *head = head_new();
    append(head, 1, 1, 10, 1);
    append(head, 1, 1, 30, 1);
    append(head, 2, 9, 10, 1);
    size_t cut = 0;
    assert_int_equal(log_head_cut(head, LOG_CUT_ALL, count_lines, &cut), 0);
    assert_int_equal(cut, 3);
    append(head, 1, 1, 20, 1); /* after the cut: not part of it */
    assert_holds(head, 1, 1, "10 20 30");
    log_head_retire(head);
    assert_holds(head, 1, 1, "20");
    assert_holds(head, 2, 9, "");
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    const struct log_head_file *files;
    size_t count;
    assert_int_equal(log_head_files(head, 0, &arena, &files, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(files[0].file_id, 1);
    arena_reset(&arena);
    log_head_free(head);
}

static void an_undone_cut_loses_nothing(void **state)
{
    (void)state;
    struct log_head *head = head_new();
    append(head, 1, 1, 10, 1);
    append(head, 2, 1, 10, 1);
    append(head, 3, 1, 10, 1);
    int calls = 0;
    assert_int_equal(log_head_cut(head, LOG_CUT_ALL, refuse, &calls), -5);
    log_head_uncut(head);
    size_t cut = 0;
    assert_int_equal(log_head_cut(head, LOG_CUT_ALL, count_lines, &cut), 0);
    assert_int_equal(cut, 3);
    log_head_retire(head);
    assert_int_equal(log_head_line_count(head), 0);
    log_head_free(head);
}

static void a_due_cut_takes_full_blocks_only(void **state)
{
    (void)state;
    struct log_head *head = head_new();
    char *text = malloc(1000);
    assert_non_null(text);
    memset(text, 'y', 1000);
    for (uint64_t i = 0; i < 150; i++) {
        struct log_line line = {.offset = i * 1001, .text = {(const uint8_t *)text, 1000}};
        struct log_chunk chunk = {
            .file_id = 1, .path = bytes_of("a"), .lines = &line, .count = 1};
        assert_int_equal(log_head_append(head, 1, &chunk, NULL), 0);
        assert_true(log_head_is_due(head) == (i >= 65));
    }
    size_t cut = 0;
    assert_int_equal(log_head_cut(head, LOG_CUT_DUE, count_lines, &cut), 0);
    assert_int_equal(cut, 132); /* twice 66 lines, which pass 64 KiB */
    log_head_retire(head);
    assert_int_equal(log_head_line_count(head), 18);
    assert_false(log_head_is_due(head));
    free(text);
    log_head_free(head);
}

/* Random appends and retirements of many files against plain counting. */
static void many_files_come_and_go(void **state)
{
    (void)state;
    enum { FILES = 300, OFFSETS = 40 };
    static bool held[FILES][OFFSETS];
    struct log_head *head = head_new();
    size_t count = 0;
    srand(7);
    for (int step = 0; step < 20000; step++) {
        size_t file = (size_t)rand() % FILES;
        size_t offset = (size_t)rand() % OFFSETS;
        append(head, file % 7, file, offset, held[file][offset] ? 0 : 1);
        count += !held[file][offset];
        held[file][offset] = true;
        assert_int_equal(log_head_line_count(head), count);
        if (step % 3000 == 2999) {
            size_t cut = 0;
            assert_int_equal(log_head_cut(head, LOG_CUT_ALL, count_lines, &cut), 0);
            assert_int_equal(cut, count);
            log_head_retire(head);
            memset(held, 0, sizeof held);
            count = 0;
        }
    }
    log_head_free(head);
}

struct race {
    struct log_head *head;
    atomic_bool is_over;
};

/* Reads as fast as it can: what it sees is whole lines in order. */
static void *read_on(void *context)
{
    struct race *race = context;
    while (!atomic_load(&race->is_over)) {
        struct arena arena;
        const struct log_head_file *files;
        size_t file_count;
        arena_init(&arena, ARENA_BYTES);
        if (log_head_files(race->head, 0, &arena, &files, &file_count) != 0)
            abort();
        for (size_t i = 0; i < file_count; i++) {
            const struct log_line *lines;
            size_t count;
            if (log_head_read(race->head, files[i].stream_id, files[i].file_id, 0, INT64_MAX,
                              &arena, &lines, &count) != 0)
                abort();
            for (size_t k = 1; k < count; k++)
                if (lines[k].offset <= lines[k - 1].offset || lines[k].text.size < 9 ||
                    memcmp(lines[k].text.data, "line at ", 8) != 0)
                    abort();
        }
        arena_reset(&arena);
    }
    return NULL;
}

static int encode_block(void *context, uint64_t stream_id, const struct log_chunk *chunk)
{
    (void)stream_id;
    return log_block_encode(chunk, context);
}

static void a_severity_or_flag_that_is_not_known_yet_holds_up_no_block(void **state)
{
    (void)state;
    struct log_head *head = head_new();
    struct buf block = {0};
    const struct log_line lines[] = {
        {.offset = 0, .severity = 9, .flags = 8, .text = bytes_of("newer")},
        {.offset = 1, .severity = 300, .flags = UINT32_MAX, .text = bytes_of("stranger")},
    };
    const struct log_chunk chunk = {1, bytes_of("/f"), lines, 2};
    assert_int_equal(log_head_append(head, 1, &chunk, NULL), 0);
    assert_int_equal(log_head_cut(head, LOG_CUT_ALL, encode_block, &block), 0);
    log_head_retire(head);
    assert_int_equal(log_head_line_count(head), 0);
    buf_done(&block);
    log_head_free(head);
}

static void readers_and_the_writer_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct race race = {.head = head_new()};
    pthread_t readers[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &race), 0);
    for (uint64_t i = 0; i < 20000; i++) {
        append(race.head, 1, i % 50, i, 1);
        if (i % 500 == 499) {
            size_t cut = 0;
            assert_int_equal(log_head_cut(race.head, LOG_CUT_ALL, count_lines, &cut), 0);
            if (i % 1000 == 999)
                log_head_retire(race.head);
            else
                log_head_uncut(race.head);
        }
    }
    atomic_store(&race.is_over, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    log_head_free(race.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_arrive_in_any_order_and_count_once),
        cmocka_unit_test(a_chunk_that_overlaps_is_merged),
        cmocka_unit_test(only_retired_lines_leave),
        cmocka_unit_test(an_undone_cut_loses_nothing),
        cmocka_unit_test(a_due_cut_takes_full_blocks_only),
        cmocka_unit_test(many_files_come_and_go),
        cmocka_unit_test(a_severity_or_flag_that_is_not_known_yet_holds_up_no_block),
        cmocka_unit_test(readers_and_the_writer_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
