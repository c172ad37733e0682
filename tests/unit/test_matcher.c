/*
 * test_matcher.c - matchers and patterns: RE2's meaning, PCRE2's engine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "collector/series/matcher.h"
#include "proto/base/error.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static struct matcher *matcher(enum matcher_kind kind, const char *value)
{
    struct matcher *made = NULL;
    struct diagnosis why = {""};
    int error = matcher_new(kind, bytes_of("a"), bytes_of(value), &made, &why);
    if (error != 0)
        fail_msg("%s: %s", value, why.text);
    return made;
}

/* What RE2 reads in a pattern. */
static const struct {
    const char *pattern, *text;
    bool matches;
} readings[] = {
    {"foo", "foo", true},
    {"foo", "foobar", false},
    {"fo+", "foo", true},
    {".*", "a\nb", true},
    {"(?-s).*", "a\nb", false},
    {"a|b", "b", true},
    {"a|", "", true},
    {"", "", true},
    {"", "x", false},
    {"^foo$", "foo", true},
    {"(^foo$)|bar", "foo", true},
    {"(?i)stra\xc3\x9f"
     "E|\xc3\x84",
     "\xc3\xa4", true},
    {"(?i:AB)c", "abc", true},
    {"(?i:AB)c", "abC", false},
    {"[[:alpha:]]+", "abc", true},
    {"[^a-c]", "\n", true},
    {"[a-c-]", "-", true},
    {"[]a]", "]", true},
    {"\\d{2,3}", "12", true},
    {"\\d{2,3}", "1", false},
    {"a{,2}", "a{,2}", true},
    {"a{2", "a{2", true},
    {"\\s", "\v", false},
    {"\\S", "\v", true},
    {"[\\S]", "\v", true},
    {"[\\S]", " ", false},
    {"\\Qa.b\\E+", "a.bb", true},
    {"\\Qa.b\\E", "axb", false},
    {"\\x41\\x{4e2d}\\101",
     "A\xe4\xb8\xad"
     "A",
     true},
    {"\\pL+", "\xc3\xa9x", true},
    {"\\p{Greek}", "\xce\xb1", true},
    {"\\p{^Greek}", "\xce\xb1", false},
    {"(?P<n>a)(?<m>b)", "ab", true},
    {"(?:a|b){3}", "aba", true},
    {"^*a", "a", true},
    {"(?U)a+", "aaa", true},
    {"a\\z", "a", true},
    {"(?m)a$\nb", "a\nb", true},
    {"a$", "a\n", false},
    {".", "\xe4\xb8\xad", true},
    {"..", "\xe4\xb8\xad", false},
    {"(a*)*", "aaa", true},
    {"(|a)+", "aaa", true},
    {"\\.\\-\\_\\/", ".-_/", true},
    {"(?i)[k]", "\xe2\x84\xaa", true},
    /* (?i) folds classes, too: the long s and the sign of Kelvin are letters of ASCII's. */
    {"(?i)\\w\\w", "\xc5\xbf\xe2\x84\xaa", true},
    {"\\w", "\xc5\xbf", false},
    {"(?i)\\W", "\xc5\xbf", false},
    {"(?i)\\W", "\xc3\xa9", true},
    {"(?i)[^\\W]", "\xe2\x84\xaa", true},
    {"(?i)[[:upper:]]", "\xc5\xbf", true},
    {"(?i)[[:upper:]]", "a", true},
    {"(?i)[[:^upper:]]", "\xc5\xbf", false},
    {"(?i)[[:^upper:]]", "a", false},
    {"(?i)[[:^upper:]]", "1", true},
    {"(?i)[[:^graph:]]", "\xe2\x84\xaa", false},
    {"(?i)\\p{Lu}", "a", true},
    {"(?i)\\P{Ll}", "A", false},
    {"\\p{Lu}", "a", false},
    /* Names of properties, loosely read. */
    {"\\p{Letter}", "a", true},
    {"\\p{uppercase letter}", "A", true},
    {"\\p{uppercase-letter}", "a", false},
    {"\\P{Decimal_Number}", "1", false},
    {"\\pl", "a", true},
    {"\\p{LC}", "a", true},
    {"\\p{Assigned}", "a", true},
    {"\\P{assigned}", "a", false},
    {"\\p{^Assigned}", "a", false},
    {"\\p{ASCII}", "a", true},
    {"\\p{Ascii}", "\xc3\xa9", false},
    {"\\p{greek}", "\xcf\x83", true},
    {"[\\p{Yi}]", "\xea\x80\x80", true},
    {"(?P<n>a)(?P<n>b)", "ab", true},
};

static void a_pattern_means_what_re2_means(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(readings); i++) {
        struct matcher *made = matcher(MATCH_REGEX, readings[i].pattern);
        int error = 0;
        if (matcher_matches(made, bytes_of(readings[i].text), &error) != readings[i].matches)
            fail_msg("case %zu: %s on %s", i, readings[i].pattern, readings[i].text);
        assert_int_equal(error, 0);
        matcher_free(made);
        made = matcher(MATCH_NOT_REGEX, readings[i].pattern);
        assert_true(matcher_matches(made, bytes_of(readings[i].text), NULL) != readings[i].matches);
        matcher_free(made);
    }
}

/* Once there were too many ways to go them one after the other, all are gone at once. */
static void a_slow_pattern_matches_to_the_end_of_its_text(void **state)
{
    (void)state;
    struct matcher *made = matcher(MATCH_REGEX, "|((?:(.A{2}|.?\\B|){1,3}?){2}){2}s{1,3}?");
    int error = 0;
    assert_false(matcher_matches(made, bytes_of("abcdefghijklmnopqrstuvwxyz"), &error));
    assert_true(matcher_is_slow(made));
    assert_false(matcher_matches(made, bytes_of("ab"), &error));
    assert_false(matcher_matches(made, bytes_of("-"), &error));
    assert_true(matcher_matches(made, bytes_of(""), &error));
    assert_true(matcher_matches(made, bytes_of("As"), &error));
    assert_int_equal(error, 0);
    matcher_free(made);
}

static void what_re2_does_not_have_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *reason;
    } cases[] = {
        {"(a)\\1", "invalid escape sequence"},
        {"(?=a)", "invalid or unsupported Perl syntax"},
        {"(?<=a)b", "invalid named capture: `(?<=a)b`"},
        {"(?<!a)b>", "invalid named capture: `(?<!a)b>`"},
        {"(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"},
        {"(?i", "invalid or unsupported Perl syntax: `(?i`"},
        {"(?\xc3\xa9)", "invalid or unsupported Perl syntax: `(?\xc3\xa9`"},
        {"(?>a)", "invalid or unsupported Perl syntax"},
        {"a++", "invalid nested repetition operator"},
        {"a**", "invalid nested repetition operator"},
        {"a*?+", "invalid nested repetition operator"},
        {"*a", "missing argument to repetition operator"},
        {"a|*", "missing argument to repetition operator"},
        {"(a", "missing closing )"},
        {"a)", "unexpected )"},
        {"[a", "missing closing ]"},
        {"[z-a]", "invalid character class range"},
        {"[[:nope:]]", "invalid character class range"},
        {"\\C", "invalid escape sequence"},
        {"\\Z", "invalid escape sequence"},
        {"\\K", "invalid escape sequence"},
        {"\\G", "invalid escape sequence"},
        {"\\h", "invalid escape sequence"},
        {"a\\", "trailing backslash"},
        {"a{1001}", "invalid repeat count"},
        {"a{3,2}", "invalid repeat count"},
        {"*{1001}", "missing argument to repetition operator: `*`"},
        {"{1001}", "invalid repeat count: `{1001}`"},
        {"a**?", "invalid nested repetition operator: `**?`"},
        {"(a{501}){2}", "invalid repeat count: `{2}`"},
        {"((a{10}b*)+{11}", "invalid nested repetition operator: `+{11}`"},
        {"(((a{10}b*)+){11}){10}", "invalid repeat count: `{10}`"},
        {"(a{100}|b){100}?", "invalid repeat count: `{100}?`"},
        {"\\Qa", "missing closing ): `^(?s:\\Qa)$`"},
        {"(?P<a-b>x)", "invalid named capture"},
        {"(?R)", "invalid or unsupported Perl syntax"},
        {"(*ACCEPT)", "missing argument to repetition operator"},
        {"a\\p{Nonsense}b", "invalid character class range: `\\p{Nonsense}`"},
        {"[\\PX]", "invalid character class range: `\\PX`"},
        {"\\p{Grek}", "invalid character class range: `\\p{Grek}`"},
        {"\\p{Xx}", "invalid character class range: `\\p{Xx}`"},
        {"\\xZZ", "invalid escape sequence: `\\xZZ`"},
        {"\\x", "invalid escape sequence: `\\x`"},
        {"\\x4", "invalid escape sequence: `\\x4`"},
        {"\\x{}1", "invalid escape sequence: `\\x{}`"},
        {"\\x{1g}", "invalid escape sequence: `\\x{1g`"},
        {"\\x{110000}", "invalid escape sequence: `\\x{110000`"},
        {"\xff", "invalid UTF-8"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct matcher *made = NULL;
        struct diagnosis why = {""};
        int error =
            matcher_new(MATCH_REGEX, bytes_of("a"), bytes_of(cases[i].pattern), &made, &why);
        if (error != ERR_INVALID || strstr(why.text, cases[i].reason) == NULL)
            fail_msg("%s: %d %s", cases[i].pattern, error, why.text);
        assert_null(made);
    }
}

static void finite_languages_become_literals(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *literals; /* joined by '|', sorted; NULL: not finite */
    } cases[] = {
        {"foo", "foo"},
        {"c|a|b|a", "a|b|c"},
        {"(a|b)(c|d)", "ac|ad|bc|bd"},
        {"node-(?:1|2)\\.example", "node-1.example|node-2.example"},
        {"^(a|b)$", "a|b"},
        {"(^a|b$)c", NULL},
        {"a|.", NULL},
        {"(?i)a", NULL},
        {"a?", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct matcher *made = matcher(MATCH_REGEX, cases[i].pattern);
        struct buf text = {0};
        for (size_t n = 0; n < made->literal_count; n++) {
            if (n > 0)
                buf_put_char(&text, '|');
            buf_put(&text, made->literals[n].data, made->literals[n].size);
        }
        assert_true((made->regex == NULL) == (cases[i].literals != NULL));
        if (cases[i].literals != NULL)
            assert_string_equal(buf_text(&text), cases[i].literals);
        else
            assert_int_equal(made->literal_count, 0);
        buf_done(&text);
        matcher_free(made);
    }
}

static void prefixes_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *prefix;
    } cases[] = {
        {"node_.*", "node_"},   {"^node_(cpu|memory).*", "node_"},
        {"(node)_.*", "node_"}, {"ab*", "a"},
        {"(?i)node.*", ""},     {".*x", ""},
        {"(ab)+.*", "ab"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct matcher *made = matcher(MATCH_REGEX, cases[i].pattern);
        assert_string_equal((const char *)made->prefix.data, cases[i].prefix);
        matcher_free(made);
    }
}

/* Against the expression itself, on all words of a few letters, one of them two bytes long. */
static void literals_with_gaps_match_as_the_expression_does(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        ".*",     ".+",     "a.*",      ".*a",         ".+a",     "a.+",    ".*ab.*",
        "a.*b",   "a.+b",   ".+.+",     ".+.*.+",      "a.*a.*a", ".*ab.+", "(a.*)b",
        "^.*ba$", "a.+b.+", ".*a.*b.*", ".+?\xc3\xa9", "a(.*)"};
    static const char *const letters[] = {"a", "b", "\xc3\xa9", "\n"};
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct matcher *made = matcher(MATCH_REGEX, patterns[i]);
        struct regex *regex = NULL;
        assert_non_null(made->glob);
        assert_null(made->regex);
        assert_int_equal(regex_new(bytes_of(patterns[i]), true, &regex, NULL), 0);
        for (unsigned word = 0; word < 5 * 5 * 5 * 5 * 5; word++) {
            char text[16] = "";
            for (unsigned rest = word; rest > 0; rest /= 5)
                if (rest % 5 > 0)
                    strcat(text, letters[rest % 5 - 1]);
            bool expected = regex_matches(regex, bytes_of(text), NULL);
            if (matcher_matches(made, bytes_of(text), NULL) != expected)
                fail_msg("%s on %s", patterns[i], text);
        }
        regex_free(regex);
        matcher_free(made);
    }
}

static void other_patterns_are_no_literals_with_gaps(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(?-s).*a", "(?i)a.*", "a|b.*", ".{2,}a", "[^a].*",
                                           "(a.*)*",   "a.?b.*",  ".*$a",  "a^.*",   "\\d+.*"};
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct matcher *made = matcher(MATCH_REGEX, patterns[i]);
        if (made->glob != NULL)
            fail_msg("%s", patterns[i]);
        matcher_free(made);
    }
}

static void a_hostile_pattern_is_answered_all_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *ending;
        bool matches;
    } cases[] = {
        {"(x+x+)+y", "!y!", false},  {"(x+x+)+y", "y", true},
        {"(x|xx|xxx)+z", "y", false}, {"(x|xx|xxx)+z", "z", true},
        {".*.*.*.*1", "0", false},    {".*.*.*.*1", "\n1", true},
        {"(x?){40}x{40}.*q", "p", false}, {"(x?){40}x{40}.*q", "火q", true},
        {"(?:(x*)*)*\\b!", "!", true}, {"(?i:(X+X+)+Y)", "Y", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct matcher *made = matcher(MATCH_REGEX, cases[i].pattern);
        struct matcher *inverse = matcher(MATCH_NOT_REGEX, cases[i].pattern);
        char text[400];
        (void)snprintf(text, sizeof text, "%0300d%s", 0, cases[i].ending);
        memset(text, 'x', 300);
        for (int turn = 0; turn < 3; turn++) { /* the first may find out that it has to walk */
            int error = 0;
            assert_int_equal(matcher_matches(made, bytes_of(text), &error), cases[i].matches);
            assert_int_equal(error, 0);
            assert_int_equal(matcher_matches(inverse, bytes_of(text), &error), !cases[i].matches);
            assert_int_equal(error, 0);
            assert_false(matcher_matches(made, bytes_of("no"), &error));
            assert_int_equal(error, 0);
        }
        matcher_free(made);
        matcher_free(inverse);
    }
}

static int64_t thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Processor time of a long pattern's first try. */
static int64_t first_try_ns(bool is_prepared)
{
    static char pattern[1200 * sizeof "(?:a|b|cd|ef)*"];
    struct matcher *matcher = NULL;
    pattern[0] = '\0';
    for (char *end = pattern; end < pattern + sizeof pattern - 16;)
        end = stpcpy(end, "(?:a|b|cd|ef)*");
    assert_int_equal(
        matcher_new(MATCH_REGEX, bytes_of("n"), bytes_of(pattern), &matcher, NULL), 0);
    if (is_prepared)
        matchers_prepare(&matcher, 1);
    const int64_t began_ns = thread_ns();
    assert_false(matcher_matches(matcher, bytes_of("x"), NULL));
    const int64_t took_ns = thread_ns() - began_ns;
    matcher_free(matcher);
    return took_ns;
}

static void a_pattern_that_is_prepared_is_only_tried(void **state)
{
    (void)state;
    const int64_t took_ns = first_try_ns(false);
    if (took_ns < 500000)
        skip(); /* no machine code is made here */
    assert_true(first_try_ns(true) < took_ns / 4);
}

static void a_missing_label_is_an_empty_value(void **state)
{
    (void)state;
    static const struct {
        enum matcher_kind kind;
        const char *value;
        bool matches;
    } cases[] = {
        {MATCH_EQUAL, "", true},       {MATCH_EQUAL, "x", false}, {MATCH_NOT_EQUAL, "", false},
        {MATCH_NOT_EQUAL, "x", true},  {MATCH_REGEX, ".*", true}, {MATCH_REGEX, ".+", false},
        {MATCH_NOT_REGEX, ".+", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct matcher *made = matcher(cases[i].kind, cases[i].value);
        assert_true(matcher_matches_empty(made) == cases[i].matches);
        matcher_free(made);
    }
}

static void replacements_expand_as_in_go(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text, *replacement, *result; /* NULL: no match */
    } cases[] = {
        {"(.*)-(\\d+)", "web-12", "$2/$1", "12/web"},
        {"(.*)-(\\d+)", "web-12", "${1}x", "webx"},
        {"(.*)-(\\d+)", "web-12", "$1x", ""},
        {"(?P<host>.*)-.*", "web-12", "${host}:$host", "web:web"},
        {"(.*)", "a", "$$1 costs $ 5", "$1 costs $ 5"},
        {"(.*)", "a", "$3${", "${"},
        {"(a)|(b)", "b", "[$1$2]", "[b]"},
        {"a", "b", "x", NULL},
        {"(.*)", "a", "$0", "a"},
        /* Letters and digits belong to a name, whatever their alphabet; signs do not. */
        {"(.*)", "21",
         "$1\xc2\xb0"
         "C",
         "21\xc2\xb0"
         "C"},
        {"(.*)", "a", "$1\xe2\x86\x92", "a\xe2\x86\x92"},
        {"(.*)", "a", "[$1\xc3\xa9]", "[]"},
        {"(.*)", "a", "[$1\xd9\xa3]", "[]"},
        {"(?P<n>a)|(?P<n>b)", "b", "$n", "b"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct regex *regex = NULL;
        struct buf out = {0};
        assert_int_equal(regex_new(bytes_of(cases[i].pattern), true, &regex, NULL), 0);
        bool matched = regex_expand(regex, bytes_of(cases[i].text),
                                    bytes_of(cases[i].replacement), &out, NULL);
        assert_true(matched == (cases[i].result != NULL));
        if (matched)
            assert_string_equal(buf_text(&out), cases[i].result);
        buf_done(&out);
        regex_free(regex);
    }
}

static void an_unanchored_search_looks_anywhere(void **state)
{
    (void)state;
    struct regex *regex = NULL;
    assert_int_equal(regex_new(bytes_of("error: \\d+"), false, &regex, NULL), 0);
    assert_true(regex_matches(regex, bytes_of("x error: 12 y"), NULL));
    assert_true(regex_matches(regex, bytes_of("\xff error: 12"), NULL));
    assert_false(regex_matches(regex, bytes_of("error: x"), NULL));
    regex_free(regex);
}

/* Walked all ways at once from every place of a long line, it would be minutes. */
static void a_hostile_search_in_a_long_line_ends_with_its_limit(void **state)
{
    (void)state;
    struct regex *regex = NULL;
    static char text[64 << 10];
    int error = 0;
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = "hello "[i % 6];
    assert_int_equal(regex_new(bytes_of("(\\w+\\s?)*[!?]"), false, &regex, NULL), 0);
    for (int turn = 0; turn < 2; turn++) {
        error = 0;
        assert_false(regex_matches(regex, bytes_of(text), &error));
        assert_int_equal(error, ERR_LIMIT);
        assert_false(regex_is_slow(regex));
    }
    error = 0;
    assert_true(regex_matches(regex, bytes_of("hello world!"), &error));
    assert_int_equal(error, 0);
    regex_free(regex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_means_what_re2_means),
        cmocka_unit_test(a_slow_pattern_matches_to_the_end_of_its_text),
        cmocka_unit_test(what_re2_does_not_have_is_refused),
        cmocka_unit_test(finite_languages_become_literals),
        cmocka_unit_test(prefixes_are_found),
        cmocka_unit_test(a_hostile_pattern_is_answered_all_the_same),
        cmocka_unit_test(literals_with_gaps_match_as_the_expression_does),
        cmocka_unit_test(other_patterns_are_no_literals_with_gaps),
        cmocka_unit_test(a_pattern_that_is_prepared_is_only_tried),
        cmocka_unit_test(a_missing_label_is_an_empty_value),
        cmocka_unit_test(replacements_expand_as_in_go),
        cmocka_unit_test(an_unanchored_search_looks_anywhere),
        cmocka_unit_test(a_hostile_search_in_a_long_line_ends_with_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
