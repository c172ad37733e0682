/*
 * test_log_search.c - a search finds what a plain look at every line finds, in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collector/log/search.h"
#include "collector/series/matcher.h"
#include "proto/base/error.h"

#define ARENA_BYTES ((size_t)64 << 20)

struct fixture {
    struct buf block;
    struct log_head *head;
};

/* Stream 1, file 1 "/var/log/a": three lines in a block and two in the head, one of them (30)
 * in both; stream 2, file 5 "/srv/b": one line in the head. */
static void fixture_make(struct fixture *fixture)
{
    static const struct log_line stored[] = {
        {.offset = 10,
         .ts_ms = 100,
         .severity = 4,
         .text = {(const uint8_t *)"disk failed", 11}},
        {.offset = 20,
         .ts_ms = 200,
         .severity = 7,
         .text = {(const uint8_t *)"all is well", 11}},
        {.offset = 30, .ts_ms = 300, .severity = 0, .text = {(const uint8_t *)"so be it", 8}},
    };
    static const struct log_line recent[] = {
        {.offset = 30, .ts_ms = 300, .severity = 0, .text = {(const uint8_t *)"so be it", 8}},
        {.offset = 40, .ts_ms = 400, .severity = 4, .text = {(const uint8_t *)"disk gone", 9}},
    };
    static const struct log_line other[] = {
        {.offset = 0, .ts_ms = 250, .severity = 5, .text = {(const uint8_t *)"disk slow", 9}},
    };
    *fixture = (struct fixture){0};
    struct log_chunk chunk = {
        .file_id = 1, .path = bytes_of("/var/log/a"), .lines = stored, .count = 3};
    assert_int_equal(log_block_encode(&chunk, &fixture->block), 0);
    assert_int_equal(log_head_new(&fixture->head), 0);
    chunk.lines = recent;
    chunk.count = 2;
    assert_int_equal(log_head_append(fixture->head, 1, &chunk, NULL), 0);
    chunk = (struct log_chunk){
        .file_id = 5, .path = bytes_of("/srv/b"), .lines = other, .count = 1};
    assert_int_equal(log_head_append(fixture->head, 2, &chunk, NULL), 0);
}

static void fixture_done(struct fixture *fixture)
{
    buf_done(&fixture->block);
    log_head_free(fixture->head);
}

static void assert_finds(const struct log_query *query, const char *because,
                         const char *expected)
{
    struct fixture fixture;
    fixture_make(&fixture);
    struct log_search *search;
    struct diagnosis why = {{0}};
    assert_int_equal(log_search_new(query, &search, &why), 0);
    assert_int_equal(log_search_head(search, fixture.head, &why), 0);
    struct log_block_info info;
    assert_int_equal(log_block_peek(buf_bytes(&fixture.block), &info), 0);
    if (log_search_wants(search, 1, &info))
        assert_int_equal(log_search_block(search, 1, 1, buf_bytes(&fixture.block), &why), 0);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct log_hit *hits;
    size_t count;
    assert_int_equal(log_search_finish(search, &arena, &hits, &count), 0);
    struct buf found = {0};
    for (size_t i = 0; i < count; i++)
        buf_printf(&found, "%s%lld:%.*s", i > 0 ? " | " : "", (long long)hits[i].line.ts_ms,
                   (int)hits[i].line.text.size, (const char *)hits[i].line.text.data);
    if (strcmp(buf_text(&found), expected) != 0)
        fail_msg("%s: found %s", because, buf_text(&found));
    buf_done(&found);
    arena_reset(&arena);
    log_search_free(search);
    fixture_done(&fixture);
}

#define ALL "100:disk failed | 200:all is well | 250:disk slow | 300:so be it | 400:disk gone"

static void a_query_selects_by_each_of_its_fields(void **state)
{
    (void)state;
    struct regex *disk;
    struct diagnosis why = {{0}};
    assert_int_equal(regex_new(bytes_of("disk"), false, &disk, &why), 0);
    struct log_query all = {.from_ms = INT64_MIN, .until_ms = INT64_MAX};
    assert_finds(&all, "everything, and a line in two places once", ALL);
    struct log_query query = all;
    query.stream_id = 1;
    assert_finds(&query, "by stream",
                 "100:disk failed | 200:all is well | 300:so be it | 400:disk gone");
    query = all;
    query.path_pattern = bytes_of("/srv/*");
    assert_finds(&query, "by path", "250:disk slow");
    query = all;
    query.from_ms = 200;
    query.until_ms = 300;
    assert_finds(&query, "by time, ends included",
                 "200:all is well | 250:disk slow | 300:so be it");
    query = all;
    query.severity_at_most = 5;
    assert_finds(&query, "by severity, unknown ones left out",
                 "100:disk failed | 250:disk slow | 400:disk gone");
    query = all;
    query.contains = disk;
    assert_finds(&query, "by text", "100:disk failed | 250:disk slow | 400:disk gone");
    query.newest_first = true;
    assert_finds(&query, "newest first", "400:disk gone | 250:disk slow | 100:disk failed");
    query.limit = 2;
    assert_finds(&query, "the newest two", "400:disk gone | 250:disk slow");
    query.newest_first = false;
    assert_finds(&query, "the oldest two", "100:disk failed | 250:disk slow");
    regex_free(disk);
}

static void a_search_that_is_full_passes_worse_blocks_by(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_make(&fixture);
    struct log_query query = {
        .from_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 1, .newest_first = true};
    struct log_search *search;
    assert_int_equal(log_search_new(&query, &search, NULL), 0);
    struct log_block_info info;
    assert_int_equal(log_block_peek(buf_bytes(&fixture.block), &info), 0);
    assert_true(log_search_wants(search, 1, &info));
    assert_int_equal(log_search_head(search, fixture.head, NULL), 0);
    assert_false(log_search_wants(search, 1, &info));
    log_search_free(search);
    fixture_done(&fixture);
}

static void rubbish_in_a_block_is_told(void **state)
{
    (void)state;
    struct log_query query = {.from_ms = INT64_MIN, .until_ms = INT64_MAX};
    struct log_search *search;
    assert_int_equal(log_search_new(&query, &search, NULL), 0);
    struct diagnosis why = {{0}};
    assert_int_equal(log_search_block(search, 1, 1, bytes_of("rubbish"), &why), ERR_MALFORMED);
    assert_true(why.text[0] != '\0');
    log_search_free(search);
}

static int by_time(const void *a, const void *b)
{
    const int64_t *left = a;
    const int64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Random blocks with overlaps and repeats, every limit: against sorting all times. */
static void limits_keep_the_best(void **state)
{
    (void)state;
    enum { LINES = 500, BLOCK = 25 };
    int64_t times[LINES];
    struct log_line lines[LINES];
    srand(11);
    for (size_t i = 0; i < LINES; i++) {
        times[i] = rand() % 100000;
        lines[i] =
            (struct log_line){.offset = i * 10, .ts_ms = times[i], .text = bytes_of("text")};
    }
    qsort(times, LINES, sizeof *times, by_time);
    for (size_t limit = 1; limit <= LINES + 1; limit += 13) {
        struct log_query query = {.from_ms = 0, .until_ms = INT64_MAX, .limit = limit};
        query.newest_first = limit % 2 == 0;
        struct log_search *search;
        assert_int_equal(log_search_new(&query, &search, NULL), 0);
        for (size_t from = 0; from + BLOCK <= LINES; from += BLOCK / 2) {
            struct buf block = {0};
            struct log_chunk chunk = {
                .file_id = 3, .path = bytes_of("p"), .lines = lines + from, .count = BLOCK};
            assert_int_equal(log_block_encode(&chunk, &block), 0);
            assert_int_equal(log_search_block(search, 1, 3, buf_bytes(&block), NULL), 0);
            buf_done(&block);
        }
        /* The last start above leaves the tail out: push it whole. */
        struct buf block = {0};
        struct log_chunk chunk = {.file_id = 3,
                                  .path = bytes_of("p"),
                                  .lines = lines + LINES - 2 * BLOCK,
                                  .count = 2 * BLOCK};
        assert_int_equal(log_block_encode(&chunk, &block), 0);
        assert_int_equal(log_search_block(search, 1, 3, buf_bytes(&block), NULL), 0);
        buf_done(&block);
        struct arena arena;
        arena_init(&arena, ARENA_BYTES);
        struct log_hit *hits;
        size_t count;
        assert_int_equal(log_search_finish(search, &arena, &hits, &count), 0);
        assert_int_equal(count, limit < LINES ? limit : LINES);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(hits[i].line.ts_ms,
                             query.newest_first ? times[LINES - 1 - i] : times[i]);
        arena_reset(&arena);
        log_search_free(search);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_selects_by_each_of_its_fields),
        cmocka_unit_test(a_search_that_is_full_passes_worse_blocks_by),
        cmocka_unit_test(rubbish_in_a_block_is_told),
        cmocka_unit_test(limits_keep_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
