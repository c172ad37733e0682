/*
 * test_template.c - templates against what Prometheus prints (vectors from promtool).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/template.h"
#include "proto/base/error.h"

static const struct label pairs[] = {
    {{(const uint8_t *)"__name__", 8}, {(const uint8_t *)"x", 1}},
    {{(const uint8_t *)"i", 1}, {(const uint8_t *)"h:9100", 6}},
    {{(const uint8_t *)"l", 1}, {(const uint8_t *)"hello world", 11}},
};

/* Expands with $value and $labels; an error is "error: reason". */
static const char *expand(const char *text, double value)
{
    static char result[1024];
    static const char *const variables[] = {"labels", "value", NULL};
    const struct template_scope scope = {.variables = variables};
    const struct template_environment environment = {
        .external_url = "https://console.example/fengsui", .now_ms = 1763878000000};
    const struct template *template;
    const struct labels *labels;
    struct arena arena;
    struct buf out = {0};
    struct diagnosis why = {0};
    int error;

    arena_init(&arena, 1 << 20);
    assert_int_equal(labels_build(pairs, 3, &arena, &labels), 0);
    error = template_parse(text, &scope, &arena, &template, &why);
    if (error == 0) {
        const struct value_field fields[] = {{"labels", value_of_labels(labels)},
                                             {"value", value_of_number(value)}};
        const struct value_field dots[] = {{"Labels", fields[0].value},
                                           {"Value", fields[1].value}};
        error = template_run(template, &environment, (struct value){.kind = VALUE_MAP, .as.map = {dots, 2}},
                             fields, 2, &arena, &out, &why);
    }
    (void)snprintf(result, sizeof result, "%s%s", error == 0 ? "" : "error: ",
                   error == 0 ? buf_text(&out) : why.text);
    buf_done(&out);
    arena_reset(&arena);
    return result;
}

static void numbers_print_as_prometheus_prints_them(void **state)
{
    static const struct {
        const char *because, *text;
        double value;
        const char *expected;
    } cases[] = {
        {"a million goes exponential", "{{ $value }}", 1234567, "1.234567e+06"},
        {"below it stays plain", "{{ $value }}", 123456.5, "123456.5"},
        {"small numbers too", "{{ $value }}", 0.00001234, "1.234e-05"},
        {"infinity has a sign", "{{ $value }}", INFINITY, "+Inf"},
        {"whole numbers have no point", "{{ .Value }}", 42, "42"},
        {"SI prefixes go up", "{{ $value | humanize }}", 1234567, "1.235M"},
        {"and down", "{{ $value | humanize }}", 0.00001234, "12.34u"},
        {"the largest prefixes", "{{ $value | humanize }}", 1e21, "1Z"},
        {"zero is zero", "{{ humanize 0.0 }}", 0, "0"},
        {"IEC prefixes", "{{ $value | humanize1024 }}", 1234567, "1.177Mi"},
        {"IEC has no small ones", "{{ $value | humanize1024 }}", 0.00001234, "1.234e-05"},
        {"days", "{{ $value | humanizeDuration }}", 1234567, "14d 6h 56m 7s"},
        {"hours", "{{ $value | humanizeDuration }}", 3725.5, "1h 2m 5s"},
        {"microseconds", "{{ $value | humanizeDuration }}", 0.00001234, "12.34us"},
        {"seconds keep decimals", "{{ $value | humanizeDuration }}", -3.25, "-3.25s"},
        {"percent", "{{ $value | humanizePercentage }}", 0.1234, "12.34%"},
        {"percent of much", "{{ $value | humanizePercentage }}", 1234567, "1.235e+08%"},
        {"time", "{{ $value | humanizeTimestamp }}", 1435065584.128,
         "2015-06-23 13:19:44.128 +0000 UTC"},
        {"whole seconds", "{{ $value | humanizeTimestamp }}", 1234567,
         "1970-01-15 06:56:07 +0000 UTC"},
        {"printf", "{{ printf \"%.2f|%5.1f|%g|%v|%s\" $value $value $value $value $labels.l }}",
         3725.5, "3725.50|3725.5|3725.5|3725.5|hello world"},
        {"printf pads what is no number", "{{ printf \"%5.1f\" $value }}", INFINITY, " +Inf"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].because);
        assert_string_equal(expand(cases[i].text, cases[i].value), cases[i].expected);
    }
}

static void texts_come_out_as_prometheus_makes_them(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"{{ $labels.i }} {{ .Labels.l }}", "h:9100 hello world"},
        {"[{{ $labels.nope }}]", "[]"},
        {"{{ $labels }}", "map[__name__:x i:h:9100 l:hello world]"},
        {"{{ title $labels.l }}|{{ toUpper $labels.l }}", "Hello World|HELLO WORLD"},
        {"{{ stripPort $labels.i }}|{{ stripPort \"[::1]:90\" }}|{{ stripPort \"a\" }}",
         "h|::1|a"},
        {"{{ reReplaceAll \"(a)b\" \"$1x${1}y\" \"ababc\" }}", "ayayc"},
        {"{{ match \"b+\" \"abbc\" }}{{ match \"z\" \"abbc\" }}", "truefalse"},
        {"{{ if gt $value 100.0 }}big{{ else if eq $labels.l \"z\" }}z{{ else }}small{{ end }}",
         "small"},
        {"{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
         "__name__=x;i=h:9100;l=hello world;"},
        {"{{ with $labels.l }}[{{ . }}]{{ end }}{{ with $labels.q }}no{{ else }}none{{ end }}",
         "[hello world]none"},
        {"a {{- /* gone */ -}} b", "ab"},
        {"{{ $x := \"v\" }}{{ $x }}{{ `raw\\n` }}", "vraw\\n"},
        {"{{ and $labels.l (or \"\" \"last\") }}{{ not true }}", "lastfalse"},
        {"{{ len $labels }} {{ index $labels \"i\" }}", "3 h:9100"},
        {"告警：{{ $value }} 度", "告警：5 度"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(expand(cases[i].text, 5), cases[i].expected);
}

/* Against Go's text/template and fmt, which tests/peer/test_templates.py asks. */
static void templates_call_templates(void **state)
{
    static const struct {
        const char *because, *text, *expected;
    } cases[] = {
        {"a define prints nothing itself", "a{{ define \"x\" }}[{{ . }}]{{ end }}b", "ab"},
        {"dot is what it was given", "{{ define \"x\" }}[{{ . }}]{{ end }}{{ template \"x\" 5 }}",
         "[5]"},
        {"it may come before", "{{ template \"x\" \"v\" }}{{ define \"x\" }}<{{ . }}>{{ end }}",
         "<v>"},
        {"without data dot is nothing",
         "{{ define \"x\" }}{{ if . }}a{{ else }}b{{ end }}{{ end }}{{ template \"x\" }}", "b"},
        {"$ is its own data", "{{ define \"x\" }}{{ $ }}{{ end }}{{ template \"x\" 7 }}", "7"},
        {"a block is both", "{{ block \"x\" 3 }}<{{ . }}>{{ end }}{{ template \"x\" 4 }}", "<3><4>"},
        {"tmpl is a value", "{{ define \"x\" }}q{{ .arg1 }}{{ end }}{{ tmpl \"x\" (args 1 2) | toUpper }}",
         "Q2"},
        {"break ends a range",
         "{{ range $i, $x := stringSlice \"a\" \"b\" \"c\" }}{{ if eq $x \"b\" }}{{ break }}{{ end "
         "}}{{ $x }}{{ end }}",
         "a"},
        {"continue ends a turn",
         "{{ range stringSlice \"a\" \"b\" \"c\" }}{{ if eq . \"b\" }}{{ continue }}{{ end }}{{ . "
         "}}{{ end }}",
         "ac"},
        {"a range of a number", "{{ range $i := 3 }}{{ $i }}{{ end }}", "012"},
        {"break leaves the inner range alone",
         "{{ range 2 }}{{ range 3 }}{{ if eq . 1 }}{{ break }}{{ end }}{{ . }}{{ end }};{{ end }}",
         "0;0;"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].because);
        assert_string_equal(expand(cases[i].text, 5), cases[i].expected);
    }
}

static void functions_give_what_go_gives(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"{{ printf \"%d|%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%q|%U\" 42 42 42 42 42 42 42 42 42 20013 "
         "97 20013 }}",
         "42|   42|42   |00042|+42|2a|2A|52|101010|中|'a'|U+4E2D"},
        {"{{ printf \"%s|%10s|%-6s|%.2s|%q|%x|% x|%v\" \"up\" \"中\" \"ab\" \"中文字\" \"a\\\"b\" "
         "\"hi\" \"hi\" \"v\" }}",
         "up|         中|ab    |中文|\"a\\\"b\"|6869|68 69|v"},
        {"{{ printf \"%8.3f|%-8.1f|%08.2f|%+.1e|%g|%.3g|%5.1f%%\" 3.14159 2.5 -2.5 12345.678 1e21 "
         "1234.5678 99.95 }}",
         "   3.142|2.5     |-0002.50|+1.2e+04|1e+21|1.23e+03|100.0%"},
        {"{{ printf \"%*d|%[2]d %[1]d|%v\" 5 42 true }}", "   42|42 5|42"},
        {"{{ printf \"%d\" \"up\" }}|{{ printf \"%s\" 5 }}|{{ printf \"%d\" }}|{{ printf \"x\" 1 "
         "\"a\" }}|{{ printf \"%\" }}",
         "%!d(string=up)|%!s(int=5)|%!d(MISSING)|x%!(EXTRA int=1, string=a)|%!(NOVERB)"},
        {"{{ printf \"%t %v %T %T\" true nil 1.5 \"s\" }}", "true <nil> float64 string"},
        {"{{ stripDomain \"db1.example.org:9100\" }}|{{ stripDomain \"10.0.0.1:80\" }}|{{ stripDomain "
         "\"a.b\" }}",
         "db1:9100|10.0.0.1:80|a"},
        {"{{ trimSpace \"  a b \" }}|{{ join \",\" (stringSlice \"x\" \"y\") }}|{{ slice \"abcd\" 1 3 "
         "}}",
         "a b|x,y|bc"},
        {"{{ (toTime 1435065584.128).Format \"Jan 2, 2006 at 3:04pm (MST)\" }}",
         "Jun 23, 2015 at 1:19pm (UTC)"},
        {"{{ toTime 1435065584.5 | tz \"Asia/Shanghai\" | date \"2006-01-02 15:04:05.00 -0700 Mon\" }}",
         "2015-06-23 21:19:44.50 +0800 Tue"},
        {"{{ toTime 0 }}|{{ (toTime 86400).Year }}|{{ ((toTime 90).Sub (toTime 0)) }}",
         "1970-01-01 00:00:00 +0000 UTC|1970|1m30s"},
        {"{{ since (toTime 1763877910) | humanizeDuration }}|{{ parseDuration \"1h30m\" }}",
         "1m 30s|5400"},
        {"{{ pathPrefix }}|{{ externalURL }}|{{ graphLink \"up{a=\\\"b\\\"} > 1\" }}",
         "/fengsui|https://console.example/fengsui|/graph?g0.expr=up%7Ba%3D%22b%22%7D+%3E+1&g0.tab=0"},
        {"{{ html \"<a&b>\" }}|{{ urlquery \"a b&c\" }}|{{ js \"it's\" }}|{{ toJson (stringSlice \"a\") "
         "}}",
         "&lt;a&amp;b&gt;|a+b%26c|it\\'s|[\"a\"]"},
        {"{{ \"\\u4e2d\\x41\\101\" }}|{{ 'a' }}|{{ 0x1F }}|{{ 1_000 }}|{{ -0b11 }}|{{ 1e3 }}",
         "中AA|97|31|1000|-3|1000"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = expand(cases[i].text, 5);
        assert_string_equal(got, cases[i].expected);
    }
}

static void errors_name_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"{{ $value | humanise }}", "humanize"},   {"{{ if true }}x", "no {{end}}"},
        {"{{ end }}", "unexpected {{end}}"},       {"{{ $nope }}", "undefined variable"},
        {"{{ humanize \"abc\" }}", "can't convert"}, {"{{ \"x }}", "unterminated"},
        {"{{ humanize }}", "wrong number of args"}, {"{{ define \"x\" }}", "no {{end}}"},
        {"{{ $value", "unclosed"},                 {"{{ match \"(\" \"x\" }}", "regular"},
        {"{{ range $value }}{{ end }}", "range"},  {"{{ break }}", "outside"},
        {"{{ template \"nope\" }}", "no template"}, {"{{ tmpl \"nope\" 1 }}", "no template"},
        {"{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", "without end"},
        {"{{ if true }}{{ define \"a\" }}{{ end }}{{ end }}", "inside of"},
        {"{{ $labels.l.Remove \"x\" }}", "no arguments"}, {"{{ 5 | $value }}", "non-function"},
        {"{{ query \"up\" }}", "rules only"},      {"{{ first (query \"up\") }}", "rules only"},
        {"{{ \"a\" | toTime }}", "convert"},       {"{{ tz \"Moon/Base\" (toTime 0) }}", "zone"},
        {"{{ parseDuration \"soon\" }}", "not a valid duration"},  {"{{ .Nope.x }}", "no field"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = expand(cases[i].text, 5);
        assert_non_null(strstr(got, "error: "));
        if (strstr(got, cases[i].reason) == NULL)
            fail_msg("%s: %s", cases[i].text, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_print_as_prometheus_prints_them),
        cmocka_unit_test(texts_come_out_as_prometheus_makes_them),
        cmocka_unit_test(templates_call_templates),
        cmocka_unit_test(functions_give_what_go_gives),
        cmocka_unit_test(errors_name_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
