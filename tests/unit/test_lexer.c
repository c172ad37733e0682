/*
 * test_lexer.c - PromQL text as tokens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/lexer.h"

/* The tokens' kinds and texts, one character a kind. */
static void write_tokens(const char *text, char out[256])
{
    static const char kinds[] = "$!wnds(){}[],:@=+-*/%^eNlLgGmMuo";
    struct lexer lexer;
    size_t size = 0;
    lexer_init(&lexer, text);
    for (;;) {
        struct token token = lexer_next(&lexer);
        size += (size_t)snprintf(out + size, 256 - size, "%s%c", size > 0 ? " " : "",
                                 kinds[token.kind]);
        if (strchr("wnds!", kinds[token.kind]) != NULL)
            size += (size_t)snprintf(out + size, 256 - size, "<%.*s>", (int)token.text.size,
                                     (const char *)token.text.data);
        if (token.kind == TOKEN_END || token.kind == TOKEN_ERROR)
            return;
    }
}

static void texts_become_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tokens;
    } cases[] = {
        {"", "$"},
        {"a:b{c=\"d\",e!~'f'}", "w<a:b> { w<c> = s<\"d\"> , w<e> M s<'f'> } $"},
        {"x[5m:1m]", "w<x> [ d<5m> : d<1m> ] $"},
        {"x[1h30m:]", "w<x> [ d<1h30m> : ] $"},
        {"1 .5 1. 0x1f 1e3 1e-3 1_000", "n<1> n<.5> n<1.> n<0x1f> n<1e3> n<1e-3> n<1_000> $"},
        {"5ms 5m 1y2w", "d<5ms> d<5m> d<1y2w> $"},
        {"a # comment\n+ b", "w<a> + w<b> $"},
        {"<= < >= > == != </ >/", "L l G g e N u o $"},
        {"{=~ !~", "{ m M !<unexpected end of input inside braces>"},
        {"0x_1F 0x1e5 1e5 1_0.5_0 .5.5", "n<0x_1F> n<0x1e5> n<1e5> n<1_0.5_0> n<.5.5> $"},
        {"1e )", "n<1e> !<unexpected right parenthesis ')'>"},
        {"a =~ b", "w<a> !<unexpected character after '=': '~'>"},
        {"a ! b", "w<a> !<unexpected character after '!': ' '>"},
        {"(a", "( w<a> !<unclosed left parenthesis>"},
        {"a)", "w<a> !<unexpected right parenthesis ')'>"},
        {"a]", "w<a> !<unexpected right bracket ']'>"},
        {"a[5m", "w<a> [ d<5m> !<unclosed left bracket>"},
        {"`a\\b`", "s<`a\\b`> $"},
        {"1foo", "!<bad number or duration syntax: \"1\">"},
        {"5m3", "!<bad number or duration syntax: \"5m3\">"},
        {"\"abc", "!<unterminated quoted string>"},
        {"\"a\nb\"", "!<unterminated quoted string>"},
        {"`a", "!<unterminated raw string>"},
        {"1e", "!<bad number or duration syntax: \"1e\">"},
        {"1e+", "!<bad number or duration syntax: \"1e+\">"},
        {"1e.5", "!<bad number or duration syntax: \"1e.\">"},
        {"1e5e5", "!<bad number or duration syntax: \"1e5e\">"},
        {"1_", "!<bad number or duration syntax: \"1_\">"},
        {"1__0", "!<bad number or duration syntax: \"1__\">"},
        {"1.2.3", "!<bad number or duration syntax: \"1.2.\">"},
        {"1._5", "!<bad number or duration syntax: \"1._\">"},
        {"0xg", "!<bad number or duration syntax: \"0x\">"},
        {"0x1.5", "!<bad number or duration syntax: \"0x1.\">"},
        {"0x1ee", "!<bad number or duration syntax: \"0x1ee\">"},
        {"a !", "w<a> !<unexpected character after '!': '\xef\xbf\xbd'>"},
        {"{a!", "{ w<a> !<unexpected character after '!' inside braces: '\xef\xbf\xbd'>"},
        {"a !\xff", "w<a> !<unexpected character after '!': '\xef\xbf\xbd'>"},
        {"a !'", "w<a> !<unexpected character after '!': '\\''>"},
        {"a !\"", "w<a> !<unexpected character after '!': '\"'>"},
        {"a !\n", "w<a> !<unexpected character after '!': '\\n'>"},
        {"a \x01", "w<a> !<unexpected character: '\\x01'>"},
        {"a\xe3\x80\x80", "w<a> !<unexpected character: '\\u3000'>"},
        {"a?b", "w<a> !<unexpected character: '?'>"},
        {"{a?}", "{ w<a> !<unexpected character inside braces: '?'>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char tokens[256];
        write_tokens(cases[i].text, tokens);
        assert_string_equal(tokens, cases[i].tokens);
    }
}

static void strings_lose_quotes_and_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *quoted, *text; /* NULL: refused */
    } cases[] = {
        {"\"a\"", "a"},
        {"'a\"b'", "a\"b"},
        {"\"\\n\\t\\\\\\\"\"", "\n\t\\\""},
        {"'\\''", "'"},
        {"`\\n`", "\\n"},
        {"\"\\x41\\101\\u00e9\\U0001f600\"", "AA\xc3\xa9\xf0\x9f\x98\x80"},
        {"\"\\q\"", NULL},
        {"\"\\'\"", NULL},
        {"\"\\x4\"", NULL},
        {"\"\\ud800\"", NULL},
        {"\"\\777\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[64];
        struct lexer lexer;
        lexer_init(&lexer, cases[i].quoted);
        const struct token token = lexer_next(&lexer);
        if (cases[i].text == NULL) {
            assert_int_equal(token.kind, TOKEN_ERROR);
            assert_true(lexer.message[0] != '\0');
            continue;
        }
        assert_int_equal(token.kind, TOKEN_STRING);
        size_t size = string_unquote(token.text, out);
        assert_int_equal(size, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, size);
    }
}

static void numbers_are_go_s(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"0755", 493}, {"08", 8}, {"0x1F", 31}, {"1_000.5", 1000.5}, {"1e3", 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double value = 0;
        assert_true(number_parse(bytes_of(cases[i].text), &value));
        assert_true(value == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_tokens),
        cmocka_unit_test(strings_lose_quotes_and_escapes),
        cmocka_unit_test(numbers_are_go_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
