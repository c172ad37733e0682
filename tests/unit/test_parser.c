/*
 * test_parser.c - expressions: what they print as, and what is wrong with the wrong ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void print(const char *text, struct buf *out)
{
    struct promql_expression *expression = NULL;
    struct promql_error error;
    if (promql_parse(text, &expression, &error) != 0)
        fail_msg("%s: %u:%u %s", text, error.line, error.column, error.why.text);
    buf_clear(out);
    promql_expression_print(expression, out);
    promql_expression_free(expression);
}

static void expressions_print_canonically_and_parse_back(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"1", "1"},
        {"-1", "-1"},
        {"1e3", "1000"},
        {"Inf", "+Inf"},
        {"1h", "1h"},
        {"\"a\\n\"", "\"a\\n\""},
        {"up", "up"},
        {"{__name__=\"up\"}", "{__name__=\"up\"}"},
        {"up{ job = 'node' , }", "up{job=\"node\"}"},
        {"{\"disk.used\", \"a.b\"!~\"c|d\"}", "{\"a.b\"!~\"c|d\",__name__=\"disk.used\"}"},
        {"up{z='1',a!~'2',ab='3'}", "up{a!~\"2\",ab=\"3\",z=\"1\"}"},
        {"up smoothed @ 3 offset 1m", "up @ 3.000 smoothed offset 1m"},
        {"up[5m] anchored @ 3", "up[5m] anchored @ 3.000"},
        {"{\"up\", \"down\"}", "{__name__=\"down\",__name__=\"up\"}"},
        {"{__name__=~\"u.\", 'up'}", "{__name__=\"up\",__name__=~\"u.\"}"},
        {"{'on'} + {'ATAN2'} + {'inf'}", "{__name__=\"on\"} + {__name__=\"ATAN2\"} + {__name__=\"inf\"}"},
        {"up[5m]", "up[5m]"},
        {"up @ end() [5m]", "up[5m] @ end()"},
        {"up[300]", "up[5m]"},
        {"up offset 5m", "up offset 5m"},
        {"up offset -5m", "up offset -5m"},
        {"up[5m] offset 1w @ end()", "up[5m] @ end() offset 1w"},
        {"up @ 1.5", "up @ 1.500"},
        {"rate(up[5m])[1h:1m]", "rate(up[5m])[1h:1m]"},
        {"rate(up[5m])[1h:] offset 5m", "rate(up[5m])[1h:] offset 5m"},
        {"up[step() * 2]", "up[step() * 2]"},
        {"sum(up)", "sum(up)"},
        {"sum(up) by (a,b)", "sum by (a, b) (up)"},
        {"sum without () (up)", "sum without () (up)"},
        {"topk(3, up)", "topk(3, up)"},
        {"SUM BY (\"a.b\") (up)", "sum by (\"a.b\") (up)"},
        {"a+b*c", "a + b * c"},
        {"(a+b)*c", "(a + b) * c"},
        {"a/on(x)group_left(y)b", "a / on (x) group_left (y) b"},
        {"a == bool ignoring (x) b", "a == bool ignoring (x) b"},
        {"a and on() b", "a and on () b"},
        {"-a", "-a"},
        {"a fill_left(1) b", NULL},
        {"a + fill (0) b", "a + fill (0) b"},
        {"label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")",
         "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")"},
    };
    struct buf once = {0};
    struct buf twice = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (cases[i].printed == NULL)
            continue;
        print(cases[i].text, &once);
        assert_string_equal(buf_text(&once), cases[i].printed);
        print(buf_text(&once), &twice);
        assert_string_equal(buf_text(&twice), cases[i].printed);
    }
    buf_done(&once);
    buf_done(&twice);
}

/* Prometheus's words, and its places. */
static const struct wrong {
    const char *text;
    unsigned line, column;
    const char *why;
} wrongs[] = {
    {"", 1, 1, "no expression found in input"},
    {"# nothing", 1, 1, "no expression found in input"},
    {"1 +", 1, 4, "unexpected end of input"},
    {"a\n+ ?", 2, 3, "unexpected character: '?'"},
    {"sum(", 1, 5, "unclosed left parenthesis"},
    {"a b", 1, 3, "unexpected identifier \"b\""},
    {"a)", 1, 3, "unexpected right parenthesis ')'"},
    {"* 1", 1, 1, "unexpected <op:*>"},
    {"a{b}", 1, 4, "unexpected \"}\" in label matching, expected label matching operator"},
    {"a{b=c}", 1, 5, "unexpected identifier \"c\" in label matching, expected string"},
    {"a{b=~\"(\"}", 1, 3, "error parsing regexp: missing closing ): `(`"},
    {"a{__name__=\"b\"}", 1, 1, "metric name must not be set twice: \"a\" or \"b\""},
    {"{}", 1, 1, "vector selector must contain at least one non-empty matcher"},
    {"a[0]", 1, 3, "duration must be greater than 0"},
    {"a[5m", 1, 5, "unclosed left bracket"},
    {"a[", 1, 3, "unexpected end of input in duration expression"},
    {"a[]", 1, 3,
     "unexpected \"]\" in subquery or range selector, expected number, duration, step(), or "
     "range()"},
    {"a[\"5m\"]", 1, 3, "unexpected character in duration expression: '\"'"},
    {"a[five]", 1, 3, "unexpected character in duration expression: 'f'"},
    {"a[5m of]", 1, 6, "unexpected character: 'o', expected ':'"},
    {"a[5m 5m]", 1, 6,
     "unexpected duration \"5m\" in subquery or range, expected \":\" or \"]\""},
    {"a[5m:1m 1m]", 1, 9,
     "unexpected duration \"1m\" in subquery selector, expected \"]\""},
    {"a[5m:)", 1, 7, "unexpected right parenthesis ')'"},
    {"(a[5m:))", 1, 7,
     "unexpected \")\" in subquery selector, expected number, duration, step(), range(), or "
     "\"]\""},
    {"a[:5m]", 1, 4, "unexpected colon before duration in duration expression"},
    {"a[5m:1m:1m]", 1, 8, "unexpected colon ':'"},
    {"a[5m[", 1, 5, "unexpected left bracket '['"},
    {"a]", 1, 2, "unexpected right bracket ']'"},
    {"a[5mm]", 1, 3, "bad number or duration syntax: \"5mm\""},
    {"a[5m1]", 1, 3, "bad number or duration syntax: \"5m1\""},
    {"a[5x]", 1, 3, "bad number or duration syntax: \"5\""},
    {"a[5y1hs]", 1, 3, "unknown unit \"hs\" in duration \"5y1hs\""},
    {"a[293y]", 1, 3, "duration out of range"},
    {"a offset -1e10", 1, 11, "duration out of range"},
    {"a + 1000y", 1, 5, "duration out of range"},
    {"a[5s/0d]", 1, 5, "division by zero"},
    {"a[1 + 5s % (0)]", 1, 10, "modulo by zero"},
    {"a[(0)]", 1, 4, "duration must be greater than 0"},
    {"a[5m1h]", 1, 3, "not a valid duration string: \"5m1h\""},
    {"a[-1]", 1, 3, "duration must be greater than 0"},
    {"a offset", 1, 9,
     "unexpected end of input in offset, expected number, duration, step(), or range()"},
    {"a offset 5m offset 1m", 1, 1, "offset may not be set multiple times"},
    {"1 offset 5m", 1, 1,
     "offset modifier must be preceded by an instant vector selector or range vector "
     "selector or a subquery"},
    {"a @ 1 @ 2", 1, 1, "@ <timestamp> may not be set multiple times"},
    {"a @", 1, 4, "unexpected end of input in @, expected timestamp"},
    {"a @ start", 1, 10, "unexpected end of input in @, expected timestamp"},
    {"a @ --1", 1, 6, "unexpected <op:-> in @, expected timestamp"},
    {"(a)[5m]", 1, 4, "ranges only allowed for vector selectors"},
    {"a offset 5m[5m]", 1, 12, "no offset modifiers allowed before range"},
    {"a @ 1 [5m]", 1, 7, "no @ modifiers allowed before range"},
    {"a[5m:] anchored", 1, 1, "anchored modifier is not supported for subqueries"},
    {"(a) smoothed", 1, 1, "smoothed modifier not implemented"},
    {"a + bool b", 1, 3, "bool modifier can only be used on comparison operators"},
    {"1 and 2", 1, 1, "set operator \"and\" not allowed in binary scalar expression"},
    {"a and on(x) group_left b", 1, 1, "no grouping allowed for \"and\" operation"},
    {"a + on(x) 1", 1, 1, "vector matching only allowed between instant vectors"},
    {"a + fill(0) 1", 1, 1,
     "filling in missing series only allowed between instant vectors"},
    {"a * on(x) group_left(x) b", 1, 3,
     "label \"x\" must not occur in ON and GROUP clause at once"},
    {"a + on b", 1, 8, "unexpected identifier \"b\" in grouping opts, expected \"(\""},
    {"a[5m] + 1", 1, 1,
     "binary expression must contain only scalar and instant vector types"},
    {"-a[5m]", 1, 1,
     "unary expression only allowed on expressions of type scalar or instant vector, got "
     "\"range vector\""},
    {"rate()", 1, 1, "expected 1 argument(s) in call to \"rate\", got 0"},
    {"round(a, 1, 2)", 1, 1, "expected at most 2 argument(s) in call to \"round\", got 3"},
    {"label_join(a, \"b\")", 1, 1,
     "expected at least 3 argument(s) in call to \"label_join\", got 2"},
    {"rate(sort(a[5m]))", 1, 11, /* what is wrong within comes first */
     "expected type instant vector in call to function \"sort\", got range vector"},
    {"nothing(rate(a))", 1, 1, "unknown function with name \"nothing\""},
    {"nothing(a{)", 1, 11, "unexpected character inside braces: ')'"},
    {"abs(a,)", 1, 6, "trailing commas not allowed in function call args"},
    {"abs(a, , b)", 1, 6, "trailing commas not allowed in function call args"},
    {"abs(a b)", 1, 7, "unexpected identifier \"b\""},
    {"sum(abs(a b))", 1, 11, "unexpected identifier \"b\" in aggregation"},
    {"sum by (x, Inf) (a)", 1, 12, "unexpected number \"Inf\" in grouping opts, expected label"},
    {"sum by (x) a", 1, 12, "unexpected identifier \"a\" in aggregation"},
    {"sum(a) b", 1, 8, "unexpected identifier \"b\""},
    {"by(a)", 1, 3, "unexpected \"(\""},
    {"on(a)", 1, 1, "unexpected <on>"},
    {"a:b(c)", 1, 4, "unexpected \"(\""},
    {"a atan2", 1, 8, "unexpected end of input"},
    {"atan2 + a", 1, 1, "unexpected <op:atan2>"},
    {"a start", 1, 3, "unexpected \"start\""},
    {"a Inf", 1, 3, "unexpected number \"Inf\""},
    {"a b:c", 1, 3, "unexpected metric identifier \"b:c\""},
    {"a sum", 1, 3, "unexpected <aggr:sum>"},
    {"-", 1, 2, "unexpected end of input"},
    {"sum()", 1, 1, "no arguments for aggregate expression provided"},
    {"topk(a)", 1, 1,
     "wrong number of arguments for aggregate expression provided, expected 2, got 1"},
    {"topk(a, b)", 1, 6,
     "expected type scalar in aggregation parameter, got instant vector"},
    {"sum(1)", 1, 5, "expected type instant vector in aggregation expression, got scalar"},
    {"1[5m:1m]", 1, 1, "subquery is only allowed on instant vector, got scalar instead"},
    {"a[5m][5m:1m]", 1, 1, "subquery is only allowed on instant vector, got matrix instead"},
    {"a @ Inf", 1, 1, "timestamp out of bounds for @ modifier: +Inf"},
    {"a{5}", 1, 3, "unexpected character inside braces: '5'"},
    {"a{{", 1, 3, "unexpected left brace '{'"},
    {"a{b!c}", 1, 4, "unexpected character after '!' inside braces: 'c'"},
    {"a{b!", 1, 4, "unexpected character after '!' inside braces: '\xef\xbf\xbd'"},
    {"a !", 1, 3, "unexpected character after '!': '\xef\xbf\xbd'"},
    {"1e", 1, 1, "bad number or duration syntax: \"1e\""},
    {"a + 1e ", 1, 5, "error parsing number: strconv.ParseFloat: parsing \"1e\": invalid syntax"},
    {"a + 1e999", 1, 5,
     "error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of range"},
    {"0xg", 1, 1, "bad number or duration syntax: \"0x\""},
    {"a @ 0x", 1, 5, "error parsing number: strconv.ParseFloat: parsing \"0x\": invalid syntax"},
    {"1_ + 1", 1, 1, "error parsing number: strconv.ParseFloat: parsing \"1_\": invalid syntax"},
    {"a{b==\"c\"}", 1, 5, "unexpected \"=\" in label matching, expected string"},
    {"a{=~\"c\"}", 1, 3,
     "unexpected <op:=~> in label matching, expected identifier or \"}\""},
    {"a{b by}", 1, 5,
     "unexpected identifier \"by\" in label matching, expected label matching operator"},
    {"a{\"b\"}", 1, 1, "metric name must not be set twice: \"a\" or \"b\""},
    {"{\"\"}", 1, 1, "vector selector must contain at least one non-empty matcher"},
    {"\"\\q\"", 1, 1, "unknown escape sequence U+0071 'q'"},
    {"\"\\x4g\"", 1, 1, "illegal character U+0067 'g' in escape sequence"},
    {"'\\ud800'", 1, 1, "escape sequence is an invalid Unicode code point"},
    {"'\\", 1, 1, "escape sequence not terminated"},
    {"abs \"\\\001\"", 1, 5, "unknown escape sequence U+0001"},
};

static void errors_name_their_place_and_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
        struct promql_expression *expression = NULL;
        struct promql_error error;
        int code = promql_parse(wrongs[i].text, &expression, &error);
        if (code != ERR_INVALID || error.failure != PROMQL_BAD_DATA ||
            error.line != wrongs[i].line || error.column != wrongs[i].column ||
            strcmp(error.why.text, wrongs[i].why) != 0)
            fail_msg("%s: %d, %u:%u %s", wrongs[i].text, code, error.line, error.column,
                     error.why.text);
        assert_null(expression);
    }
}

static void depth_and_size_are_limited(void **state)
{
    (void)state;
    static char text[400000];
    struct promql_expression *expression = NULL;
    struct promql_error error;
    memset(text, '(', 100000);
    assert_int_equal(promql_parse(text, &expression, &error), ERR_INVALID);
    memset(text, '-', 100000);
    assert_int_equal(promql_parse(text, &expression, &error), ERR_INVALID);
    for (size_t i = 0; i < 100000; i += 2)
        memcpy(text + i, "1+", 2);
    assert_int_equal(promql_parse(text, &expression, &error), ERR_INVALID);
    /* Parentheses around chains: no parenthesis is deep and no chain is long, but the tree is.
     */
    memset(text, 0, sizeof text);
    memset(text, '(', 125);
    size_t at = 125;
    text[at++] = 'x';
    for (int level = 0; level < 125; level++) {
        for (int i = 0; i < 499; i++, at += 2)
            memcpy(text + at, "+1", 2);
        text[at++] = ')';
    }
    assert_int_equal(promql_parse(text, &expression, &error), ERR_INVALID);
    assert_string_equal(error.why.text, "expression nests too deeply");
    assert_int_equal(error.line, 1);
    memmove(text + 11, text, strlen(text) + 1); /* the same as a duration */
    memcpy(text, "x offset    ", 11);
    memcpy(strchr(text + 11, 'x'), "1", 1);
    assert_int_equal(promql_parse(text, &expression, &error), ERR_INVALID);
    assert_string_equal(error.why.text, "expression nests too deeply");
    memset(text, 'a', sizeof text - 1);
    assert_int_equal(promql_parse(text, &expression, &error), ERR_INVALID);
}

static int count_selector(void *context, struct matcher *const *matchers, size_t count)
{
    (void)matchers;
    *(size_t *)context += count;
    return 0;
}

static void selectors_are_listed(void **state)
{
    (void)state;
    struct promql_expression *expression = NULL;
    struct promql_error error;
    size_t matchers = 0;
    const char *text = "sum(rate(a{b=\"c\"}[5m])) / topk(scalar(d), max_over_time(e[1h:1m]))";
    assert_int_equal(promql_parse(text, &expression, &error), 0);
    assert_int_equal(promql_expression_selectors(expression, count_selector, &matchers), 0);
    assert_int_equal(matchers, 4);
    assert_int_equal(promql_expression_type(expression), PROMQL_VECTOR);
    promql_expression_free(expression);
}

static void a_selector_alone_is_its_matchers(void **state)
{
    (void)state;
    struct matcher **matchers = NULL;
    size_t count = 0;
    struct promql_error error;
    assert_int_equal(promql_parse_selector("up{job=~\"a.*\"}", &matchers, &count, &error), 0);
    assert_int_equal(count, 2);
    promql_matchers_free(matchers, count);
    static const char *const wrong[] = {"", "{}", "up[5m]", "sum(up)", "1", "up offset 5m"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(promql_parse_selector(wrong[i], &matchers, &count, &error),
                         ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_print_canonically_and_parse_back),
        cmocka_unit_test(errors_name_their_place_and_reason),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test(selectors_are_listed),
        cmocka_unit_test(a_selector_alone_is_its_matchers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
