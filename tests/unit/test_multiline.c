/*
 * test_multiline.c - where an event begins and ends, and what is left for the next read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "probe/log/multiline.h"
#include "proto/base/buf.h"
#include "proto/wire/plain.h"

enum { FULL = 1, IDLE = 2, LAST = 4, SKIPPING = 8 };

/* Cuts `run` and tells the events as "text" joined by |, newlines shown as /, a cut one with !,
 * then where the next read begins. */
static void assert_cuts(const char *because, const char *first_line, const char *run,
                        unsigned how, size_t room, const char *expected)
{
    struct pattern *pattern = NULL;
    struct diagnosis why = {{0}};
    uint8_t text[256];
    struct log_event event;
    struct buf told = {0};
    size_t end = 0;
    if (first_line != NULL)
        assert_int_equal(pattern_new(first_line, &pattern, &why), 0);
    struct cutter cutter = {.encoding = LOG_ENCODING_UTF8,
                            .first_line = pattern,
                            .run = bytes_of(run),
                            .is_full = (how & FULL) != 0,
                            .is_idle = (how & IDLE) != 0,
                            .is_last = (how & LAST) != 0,
                            .skipping = (how & SKIPPING) != 0};
    while (cutter_next(&cutter, text, room, &event)) {
        assert_true(event.start >= end);
        end = event.end;
        for (size_t i = 0; i < event.text_bytes; i++)
            buf_put_char(&told, text[i] == '\n' ? '/' : (char)text[i]);
        if ((event.flags & LOG_LINE_CUT) != 0)
            buf_put_char(&told, '!');
        assert_true(((event.flags & LOG_LINE_MULTI) != 0) ==
                    (memchr(text, '\n', event.text_bytes) != NULL));
        buf_put_char(&told, '|');
    }
    buf_printf(&told, "%zu%s", cutter.at, cutter.skipping ? " skipping" : "");
    if (strcmp(buf_text(&told), expected) != 0)
        fail_msg("%s: %s", because, buf_text(&told));
    buf_done(&told);
    pattern_free(pattern);
}

static void lines_are_events(void **state)
{
    (void)state;
    assert_cuts("each line", NULL, "a\nb\n", 0, 64, "a|b|4");
    assert_cuts("empty lines too", NULL, "\n\n", 0, 64, "||2");
    assert_cuts("an unterminated one waits", NULL, "a\nbc", 0, 64, "a|2");
    assert_cuts("unless it is the last", NULL, "a\nbc", LAST, 64, "a|bc|4");
    assert_cuts("waiting has nothing to do with silence", NULL, "a\nbc", IDLE, 64, "a|2");
    assert_cuts("nothing gives nothing", NULL, "", LAST, 64, "0");
}

static void overlong_lines_are_cut_once(void **state)
{
    (void)state;
    assert_cuts("what fills a run is cut", NULL, "abcdef", FULL, 64, "abcdef!|6 skipping");
    assert_cuts("a start before its end is not", NULL, "a\nbcdef", FULL, 64, "a|2");
    assert_cuts("the rest is skipped", NULL, "rest\nnext\n", SKIPPING, 64, "next|10");
    assert_cuts("however long", NULL, "rest", SKIPPING, 64, "4 skipping");
    assert_cuts("cut at a character", NULL, "ab\xe6\x95", FULL, 64, "ab!|4 skipping");
    assert_cuts("a small room cuts", NULL, "abcdef\ng\n", 0, 4, "abcd!|g|9");
}

static void events_begin_where_the_expression_matches(void **state)
{
    (void)state;
    assert_cuts("continuations join", "^\\d", "1 a\n at x\n at y\n2 b\n", 0, 64,
                "1 a/ at x/ at y|16");
    assert_cuts("the last waits for more", "^\\d", "1 a\n", 0, 64, "0");
    assert_cuts("until it is idle", "^\\d", "1 a\n at x\n", IDLE, 64, "1 a/ at x|10");
    assert_cuts("but not with half a line", "^\\d", "1 a\n at", IDLE, 64, "0");
    assert_cuts("or it is over", "^\\d", "1 a\n at", LAST, 64, "1 a/ at|7");
    assert_cuts("what comes before any match joins", "^\\d", "x\ny\n1\n", IDLE, 64, "x/y|1|6");
    assert_cuts("too long for a run: cut between lines", "^\\d", "1 a\n at x\n at", FULL, 64,
                "1 a/ at x!|10");
    assert_cuts("too long for the room: cut between lines", "^\\d", "1 abc\n def\n2\n", IDLE, 7,
                "1 abc!| def|2|13");
}

static void events_have_a_limit_of_lines(void **state)
{
    (void)state;
    struct buf run = {0};
    for (int i = 0; i < MULTILINE_LINES_MAX + 1; i++)
        buf_put_text(&run, "\n");
    /* A room for all of them. */
    uint8_t text[2 * MULTILINE_LINES_MAX];
    struct pattern *pattern;
    assert_int_equal(pattern_new("^\\d", &pattern, NULL), 0);
    struct cutter cutter = {
        .encoding = LOG_ENCODING_UTF8, .first_line = pattern, .run = buf_bytes(&run)};
    struct log_event event;
    assert_true(cutter_next(&cutter, text, sizeof text, &event));
    assert_int_equal(event.text_bytes, MULTILINE_LINES_MAX - 1);
    assert_int_equal(event.end, MULTILINE_LINES_MAX);
    assert_false(cutter_next(&cutter, text, sizeof text, &event));
    pattern_free(pattern);
    buf_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_events),
        cmocka_unit_test(overlong_lines_are_cut_once),
        cmocka_unit_test(events_begin_where_the_expression_matches),
        cmocka_unit_test(events_have_a_limit_of_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
