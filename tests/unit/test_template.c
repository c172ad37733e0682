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
    const struct template *template;
    const struct labels *labels;
    struct arena arena;
    struct buf out = {0};
    struct diagnosis why = {0};
    int error;

    arena_init(&arena, 1 << 20);
    assert_int_equal(labels_build(pairs, 3, &arena, &labels), 0);
    error = template_parse(text, &arena, &template, &why);
    if (error == 0) {
        const struct value_field fields[] = {{"labels", value_of_labels(labels)},
                                             {"value", value_of_number(value)}};
        const struct value_field dots[] = {{"Labels", fields[0].value},
                                           {"Value", fields[1].value}};
        error = template_run(template, (struct value){.kind = VALUE_MAP, .as.map = {dots, 2}},
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

static void errors_name_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"{{ $value | humanise }}", "humanize"},   {"{{ if true }}x", "no {{end}}"},
        {"{{ end }}", "unexpected {{end}}"},       {"{{ $nope }}", "undefined variable"},
        {"{{ humanize \"abc\" }}", "can't convert"}, {"{{ \"x }}", "unterminated"},
        {"{{ humanize }}", "wrong number of args"}, {"{{ define \"x\" }}", "no support"},
        {"{{ $value", "unclosed"},                 {"{{ match \"(\" \"x\" }}", "regular"},
        {"{{ range $value }}{{ end }}", "range"},  {"{{ .Nope.x }}", "no field"},
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
        cmocka_unit_test(errors_name_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
