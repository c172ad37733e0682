/*
 * test_layout.c - what format_query gives: one line that is Prometheus 3's String(), and the
 * lines of its Pretty() where that one is longer than a hundred bytes.
 *
 * Source: promql/parser/printer.go and prettier.go of Prometheus 3.13; what a 2.42 prints alike is
 * compared by tests/peer/test_differential.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void lay_out(const char *text, struct buf *out)
{
    struct promql_expression *expression = NULL;
    struct promql_error error;
    if (promql_parse(text, &expression, &error) != 0)
        fail_msg("%s: %u:%u %s", text, error.line, error.column, error.why.text);
    buf_clear(out);
    promql_expression_lay_out(expression, out);
    assert_true(buf_ok(out));
    promql_expression_free(expression);
}

/* Names of so many bytes. */
#define SIXTY  "namespace:container_cpu_usage_seconds_total:sum_rate_by_node"
#define FIFTY  "kube_pod_container_status_restarts_total:of_a_node"
#define THIRTY "node_filesystem_avail_bytes_ro"

static const struct {
    const char *because, *text, *laid_out;
} layouts[] = {
    {"a hundred bytes are one line", SIXTY " + " THIRTY "{a='1'}", SIXTY " + " THIRTY "{a=\"1\"}"},
    {"one more is two", SIXTY " + " THIRTY "{a='12'}",
     "  " SIXTY "\n+\n  " THIRTY "{a=\"12\"}"},
    {"bytes are counted, not characters", SIXTY " + " THIRTY "{a='生'}",
     "  " SIXTY "\n+\n  " THIRTY "{a=\"生\"}"},
    {"what was written over lines and fits is one", "sum(\n  a # here\n)\nby (b)", "sum by (b) (a)"},
    {"a selector is never broken", SIXTY "{a='" SIXTY "'} offset 5m", SIXTY "{a=\"" SIXTY "\"} offset 5m"},
    {"nor is a text", "'" SIXTY " " SIXTY "'", "\"" SIXTY " " SIXTY "\""},
    {"operands stand deeper than their operator, the left ones of a chain deepest",
     SIXTY " * 2 + " FIFTY " / on (a, b) group_left (c) " SIXTY,
     "  " SIXTY " * 2\n"
     "+\n"
     "    " FIFTY "\n"
     "  / on (a, b) group_left (c)\n"
     "    " SIXTY},
    {"bool, ignoring and fill are in the operator's line",
     SIXTY " == bool ignoring(x) group_right fill_left(1e6) fill_right(-.5) " FIFTY,
     "  " SIXTY "\n"
     "== bool ignoring (x) group_right () fill_left (1e+06) fill_right (-0.5)\n"
     "  " FIFTY},
    {"an aggregation's parameter has a line of its own",
     "topk(5, " SIXTY "{a='b'} or " FIFTY ") without (instance, job)",
     "topk without (instance, job) (\n"
     "  5,\n"
     "    " SIXTY "{a=\"b\"}\n"
     "  or\n"
     "    " FIFTY "\n"
     ")"},
    {"arguments, one a line", "label_replace(" SIXTY ", 'a', '$1', 'b', '" FIFTY "')",
     "label_replace(\n"
     "  " SIXTY ",\n"
     "  \"a\",\n"
     "  \"$1\",\n"
     "  \"b\",\n"
     "  \"" FIFTY "\"\n"
     ")"},
    {"parentheses", "((" SIXTY " > bool " THIRTY "))",
     "(\n"
     "  (" SIXTY " > bool " THIRTY ")\n"
     ")"},
    {"a range is never broken", "rate(" SIXTY "{a='" FIFTY "'}[5m] anchored @ start() offset -1d)",
     "rate(\n"
     "  " SIXTY "{a=\"" FIFTY "\"}[5m] anchored @ start() offset -1d\n"
     ")"},
    {"a subquery's times follow what they are of",
     "max_over_time(rate(" SIXTY "{a='" FIFTY "'}[5m])[1d2h:step() * 2] @ 1.5 offset 90m)",
     "max_over_time(\n"
     "  rate(\n"
     "    " SIXTY "{a=\"" FIFTY "\"}[5m]\n"
     "  )[1d2h:step() * 2] @ 1.500 offset 1h30m\n"
     ")"},
    {"a subquery that fits has no indentation, as in Prometheus",
     "quantile_over_time(scalar(" THIRTY "), " SIXTY "[1h:1m] offset 5m)",
     "quantile_over_time(\n"
     "  scalar(" THIRTY "),\n" SIXTY "[1h:1m] offset 5m\n"
     ")"},
    {"a sign has no line of its own", "sum(-rate(" SIXTY "{a='" FIFTY "'}[5m]))",
     "sum(\n"
     "  -rate(\n"
     "    " SIXTY "{a=\"" FIFTY "\"}[5m]\n"
     "  )\n"
     ")"},
    {"signs before a power", "(--" SIXTY " ^ " FIFTY ")",
     "(\n"
     "  --" SIXTY "\n"
     "  ^\n"
     "    " FIFTY "\n"
     ")"},
    {"quoted names", "sum by (\"a.b\", c) ({\"" SIXTY "\", \"d e\"='" FIFTY "'})",
     "sum by (\"a.b\", c) (\n"
     "  {\"d e\"=\"" FIFTY "\",__name__=\"" SIXTY "\"}\n"
     ")"},
    {"durations among numbers", "clamp(" SIXTY " - " FIFTY ", -1h, 1e21)",
     "clamp(\n"
     "    " SIXTY "\n"
     "  -\n"
     "    " FIFTY ",\n"
     "  -1h,\n"
     "  1000000000000000000000\n"
     ")"},
};

static void long_expressions_are_laid_out_as_prometheus_does(void **state)
{
    (void)state;
    struct buf once = {0};
    struct buf twice = {0};
    for (size_t i = 0; i < COUNT_OF(layouts); i++) {
        lay_out(layouts[i].text, &once);
        if (strcmp(buf_text(&once), layouts[i].laid_out) != 0)
            fail_msg("%s:\n%s\n  instead of\n%s", layouts[i].because, buf_text(&once),
                     layouts[i].laid_out);
        lay_out(buf_text(&once), &twice);
        assert_string_equal(buf_text(&twice), layouts[i].laid_out);
    }
    buf_done(&once);
    buf_done(&twice);
}

/* NULL: as it is. */
static const struct {
    const char *text, *line;
} lines[] = {
    {"1e3", "1000"},
    {"0x1F", "31"},
    {"0.00000123", NULL},
    {"1048576", NULL},
    {"-2e5 * 0 > bool -0", "-200000 * 0 > bool -0"},
    {"1h30m", NULL},
    {"-36h", "-1d12h"},
    {"1s1ms", NULL},
    {"'\\x7f\\u00ad\\u0890\\U00013430\\U000E0100\\U000E0fff'",
     "\"\\x7f\\u00ad\\u0890\\U00013430\xf3\xa0\x84\x80\\U000e0fff\""},
    {"+a", NULL},
    {"- -a", "--a"},
    {"-(1)", NULL},
    {"-2 ^ 2", NULL},
    {"Inf ^ -Inf", NULL},
    {"(1)", NULL},
    {"SUM BY (a,) (b)", "sum by (a) (b)"},
    {"sum by () (a)", "sum(a)"},
    {"sum without() (a)", "sum without () (a)"},
    {"quantile(.9, a) by (b)", "quantile by (b) (0.9, a)"},
    {"count_values('v', a)", "count_values(\"v\", a)"},
    {"sum by('inf','b') (a)", "sum by (\"inf\", b) (a)"},
    {"sum by('äää') (a)", "sum by (\"äää\") (a)"},
    {"a - ignoring() c", "a - c"},
    {"a - on() c", "a - on () c"},
    {"a - ignoring() group_left c", "a - ignoring () group_left () c"},
    {"a - on(b) group_right(x,y) c", "a - on (b) group_right (x, y) c"},
    {"a - on() 1", "a - 1"},
    {"1 < bool ignoring() a", "1 < bool a"},
    {"a unless on('b c') d", "a unless on (\"b c\") d"},
    {"a atan2 b % c", NULL},
    {"a + on(b) group_left fill(-23) c", "a + on (b) group_left () fill (-23) c"},
    {"a + fill_left(1000000) b", "a + fill_left (1e+06) b"},
    {"a + fill_left(1) fill_right(1) b", "a + fill_left (1) fill_right (1) b"},
    {"a + fill_right(0.00001) fill_left(Inf) b", "a + fill_left (+Inf) fill_right (1e-05) b"},
    {"a + fill(NaN) b", "a + fill (NaN) b"},
    {"{__name__=\"\",a=\"x\"}", NULL},
    {"{\"_0\"=\"1\",\"0\"=\"1\"}", "{\"0\"=\"1\",_0=\"1\"}"},
    {"a{}", "a"},
    {"a anchored offset 1m @ end()", "a @ end() anchored offset 1m"},
    {"a[5m] offset 1m smoothed", "a[5m] smoothed offset 1m"},
    {"a[300]", "a[5m]"},
    {"a[0.0019]", "a[1ms]"},
    {"a offset 0", "a"},
    {"a offset -0s", "a"},
    {"a offset 0.0004", "a"},
    {"a offset -1.5", "a offset -1s500ms"},
    {"a offset 1e-10", "a"},
    {"a @ 1e9 offset 400d", "a @ 1000000000.000 offset 400d"},
    {"a[1h:] @ start()", NULL},
    {"a[2*1h]", "a[2 * 1h]"},
    {"a[-5m+35m]", "a[-5m + 35m]"},
    {"a[(1m)]", "a[1m]"},
    {"a[((1m))]", "a[1m]"},
    {"a[((1m+1m)) * +2]", "a[(1m + 1m) * 2]"},
    {"a[(-2)^2]", "a[(-2) ^ 2]"},
    {"a[2^3^2s]", "a[2 ^ 3 ^ 2s]"},
    {"a[-(step())]", NULL},
    {"a[200-min_of(-step()^+step(),1)]", "a[200 - min_of(-step() ^ step(), 1)]"},
    {"a[1h:max_of(step(),5s)]", "a[1h:max_of(step(), 5s)]"},
    {"a offset -(5m)", "a offset -5m"},
    {"a offset +(5*2)", "a offset (5 * 2)"},
    {"a offset -min_of(10s, +max_of(step() ^ 2, 2))", "a offset -min_of(10s, max_of(step() ^ 2, 2))"},
    {"a offset -2^2", "a offset -2s ^ 2"},
    {"a offset step()*2", "a offset step() * 2"},
    {"a[range() / 2:] offset -range()", NULL},
};

static void each_kind_has_prometheus_s_line(void **state)
{
    (void)state;
    struct buf once = {0};
    struct buf twice = {0};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const char *wanted = lines[i].line != NULL ? lines[i].line : lines[i].text;
        lay_out(lines[i].text, &once);
        if (strcmp(buf_text(&once), wanted) != 0)
            fail_msg("%s: %s instead of %s", lines[i].text, buf_text(&once), wanted);
        lay_out(buf_text(&once), &twice);
        assert_string_equal(buf_text(&twice), wanted);
    }
    buf_done(&once);
    buf_done(&twice);
}

/* As many levels as the parser takes, and the widest at the bottom. */
static void the_deepest_is_laid_out(void **state)
{
    (void)state;
    enum { LEVELS = 490 };
    struct buf text = {0};
    struct buf wanted = {0};
    struct buf found = {0};
    for (int level = 0; level < LEVELS; level++)
        buf_put_text(&text, "abs(");
    buf_put_text(&text, SIXTY " + " FIFTY);
    for (int level = 0; level < LEVELS; level++)
        buf_put_char(&text, ')');
    for (int level = 0; level < LEVELS; level++)
        buf_printf(&wanted, "%*sabs(\n", 2 * level, "");
    buf_printf(&wanted, "%*s%s\n%*s+\n%*s%s\n", 2 * LEVELS + 2, "", SIXTY, 2 * LEVELS, "",
               2 * LEVELS + 2, "", FIFTY);
    for (int level = LEVELS - 1; level >= 0; level--)
        buf_printf(&wanted, "%*s)%s", 2 * level, "", level > 0 ? "\n" : "");
    lay_out(buf_text(&text), &found);
    assert_string_equal(buf_text(&found), buf_text(&wanted));
    buf_done(&text);
    buf_done(&wanted);
    buf_done(&found);
}

static void what_has_no_room_fails(void **state)
{
    (void)state;
    struct promql_expression *expression = NULL;
    struct promql_error error;
    size_t refused = 0;
    assert_int_equal(promql_parse("sum(" SIXTY " + " FIFTY ")", &expression, &error), 0);
    for (size_t room = 0;; room += 64) {
        struct arena_total total = {.limit_bytes = room};
        struct buf out = {.total = &total};
        promql_expression_lay_out(expression, &out);
        bool is_good = buf_ok(&out);
        assert_true(is_good || out.total_refused);
        buf_done(&out);
        assert_int_equal(total.held_bytes, 0);
        if (is_good)
            break;
        refused++;
    }
    assert_true(refused > 2);
    promql_expression_free(expression);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_expressions_are_laid_out_as_prometheus_does),
        cmocka_unit_test(each_kind_has_prometheus_s_line),
        cmocka_unit_test(the_deepest_is_laid_out),
        cmocka_unit_test(what_has_no_room_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
