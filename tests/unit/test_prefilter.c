/*
 * test_prefilter.c - a line is looked at by those patterns that may match it.
 *
 * What can go wrong, each a case here: a word is taken that a match need not have; a word at
 * the line's edge, or two of one pair of bytes, are missed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probe/log/prefilter.h"

static void words_are_those_that_every_match_has(void **state)
{
    static const struct {
        const char *expression, *words; /* by commas; "": none */
    } cases[] = {
        {"OutOfMemoryError", "OutOfMemoryError"},
        {"Out of memory: Kill|oom-kill:", "Out of memory: Kill,oom-kill:"},
        {"ORA-0*600\\b", "ORA-"},
        {"connect\\(\\) failed .* upstream", "connect() failed "},
        {"All threads \\(\\d+\\) are busy", "All threads ("},
        {"^ERROR$", "ERROR"},
        {"abc?def", "def"},
        {"abc+def", "abc"},
        {"abcd{0,2}efg", "abc"},
        {"abc(def|ghi)jkl", "abc"},
        {"[A-Z]]xyz", "]xyz"},
        {"[]a]xyzw", "xyzw"},
        {"(?i)error", ""},
        {"abc(?i)def", ""},
        {"abc(?i:def)ghi", ""},
        {"\\QORA\\E", ""},
        {"ab|cdef", ""},
        {"abc|", ""},
        {"\\x41BCD", ""},
        {"[[:alpha:]]+error", ""},
        {"(*UTF)error", ""},
        {"a.b.c", ""},
        {"错误", "错误"},
        {"abcd{x|y}zzz", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[PREFILTER_WORDS_MAX][PREFILTER_WORD_BYTES + 1];
        char joined[PREFILTER_WORDS_MAX * 64] = "";
        size_t count = prefilter_words(cases[i].expression, words);
        for (size_t k = 0; k < count; k++)
            (void)strcat(strcat(joined, k == 0 ? "" : ","), words[k]);
        if (strcmp(joined, cases[i].words) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].expression, joined, cases[i].words);
    }
}

static void patterns_are_found_wherever_their_words_stand(void **state)
{
    static const struct {
        const char *line;
        uint64_t found;
    } cases[] = {
        {"ORA-00600", 1 | 8},
        {"x ORA-", 1 | 8},
        {"ORA_00600", 8},
        {"CRS-1607 ORA-", 3 | 8},
        {"", 8},
        {"O", 8},
        {"XORA-CRS-ORA-", 3 | 8},
        {"oom-kill: x", 4 | 8},
        {"Out of memory: Kill", 4 | 8},
        {"Out of memory: Kil", 8},
    };
    (void)state;
    struct prefilter *filter;
    assert_int_equal(prefilter_new(&filter), 0);
    assert_int_equal(prefilter_add(filter, 0, "ORA-0*600\\b"), 0);
    assert_int_equal(prefilter_add(filter, 1, "CRS-1607|CRS-ORA"), 0);
    assert_int_equal(prefilter_add(filter, 2, "Out of memory: Kill|oom-kill:"), 0);
    assert_int_equal(prefilter_add(filter, 3, "(?i)error"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* A copy of its own size: nothing behind it may be looked at. */
        uint64_t found = prefilter_look(filter, bytes_of(cases[i].line));
        if (found != cases[i].found)
            fail_msg("%s: %llx", cases[i].line, (unsigned long long)found);
    }
    prefilter_free(filter);
    assert_true(prefilter_look(NULL, bytes_of("x")) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_that_every_match_has),
        cmocka_unit_test(patterns_are_found_wherever_their_words_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
