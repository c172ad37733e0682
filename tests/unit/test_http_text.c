/* test_http_text.c - texts of the HTTP API: form parameters, times, durations, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka wants the above first
#include <cmocka.h>

#include "collector/http/form.h"
#include "collector/http/json_write.h"
#include "collector/http/param.h"
#include "proto/base/error.h"

static void forms_decode_as_browsers_encode(void **state)
{
    (void)state;
    struct arena arena;
    struct form form;
    arena_init(&arena, 1 << 20);
    form_init(&form, &arena);
    const char *text = "query=a%2Bb+c&match[]=x&&match%5B%5D=%E7%83%BD&empty=&bare&odd=%zz%4";
    assert_int_equal(form_add_encoded(&form, bytes_of(text)), 0);
    const char *const wanted[][2] = {{"query", "a+b c"}, {"match[]", "x"}, {"match[]", "烽"},
                                     {"empty", ""},      {"bare", ""},     {"odd", "%zz%4"}};
    assert_int_equal(form.count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(form.items[i].name, wanted[i][0]);
        assert_string_equal(form.items[i].value, wanted[i][1]);
    }
    assert_int_equal(form_add_encoded(&form, bytes_of("a=%00")), ERR_MALFORMED);
    assert_int_equal(form_add_encoded(&form, bytes_of("last=1&")), 0);
    assert_int_equal(form.count, 7);
    assert_string_equal(form.items[0].value, "a+b c");
    assert_string_equal(form.items[6].name, "last");
    arena_reset(&arena);
}

static void a_form_has_the_limit_of_its_arena(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    static char text[2 * COUNT];
    struct arena arena;
    struct form form;
    arena_init(&arena, 1 << 20);
    form_init(&form, &arena);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? 'a' : '&';
    assert_int_equal(form_add_encoded(&form, (struct bytes){(uint8_t *)text, sizeof text}), 0);
    assert_int_equal(form.count, COUNT);
    assert_string_equal(form.items[COUNT - 1].name, "a");
    assert_string_equal(form.items[COUNT - 1].value, "");
    assert_int_equal(form_add_encoded(&form, (struct bytes){(uint8_t *)text, sizeof text}),
                     ERR_LIMIT);
    assert_int_equal(form.count, COUNT);
    arena_reset(&arena);
}

static void times_are_read_as_prometheus_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *because;
    } cases[] = {
        {"1435781430", 1435781430000, "seconds"},
        {"1435781430.781", 1435781430781, "with a fraction"},
        {"1435781430.0006", 1435781430001, "rounded to milliseconds"},
        {"1.0005", 1000, "as Go rounds: the fraction alone"},
        {"-1.5", -1500, "before 1970"},
        {"1e3", 1000000, "exponents are numbers"},
        {"2015-07-01T20:10:51.781Z", 1435781451781, "RFC 3339"},
        {"2015-07-01T20:10:51.781123456Z", 1435781451781, "nanoseconds are cut"},
        {"2015-07-02T04:10:51+08:00", 1435781451000, "with an offset"},
        {"1700000000000", 1700000000000000, "Grafana's milliseconds taken for seconds"},
        {"-292273086-05-16T16:47:06Z", INT64_MIN, "the least instant"},
        {"292277025-08-18T07:12:54.999999999Z", INT64_MAX, "the greatest instant"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = 0;
        struct diagnosis why = {0};
        if (param_time(cases[i].text, &ms, &why) != 0 || ms != cases[i].ms)
            fail_msg("%s (%s): %lld %s", cases[i].text, cases[i].because, (long long)ms,
                     why.text);
    }
}

static void what_is_no_time_is_named(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",     "x",          "1h",    "2015-02-30T00:00:00Z", "NaN", "+Inf",
        "0x10", "2015-07-01", "1e300", "2015-07-01T20:10:51",  " 1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t ms = 7;
        struct diagnosis why = {0};
        assert_int_equal(param_time(texts[i], &ms, &why), ERR_INVALID);
        assert_int_equal(ms, 7);
        assert_non_null(strstr(why.text, "to a valid timestamp"));
    }
    struct diagnosis why = {0};
    int64_t ms = 0;
    param_time("foo", &ms, &why);
    assert_string_equal(why.text, "cannot parse \"foo\" to a valid timestamp");
}

static void durations_are_seconds_or_units(void **state)
{
    (void)state;
    int64_t ms = 0;
    struct diagnosis why = {0};
    assert_int_equal(param_duration("15", &ms, &why), 0);
    assert_int_equal(ms, 15000);
    assert_int_equal(param_duration("0.5", &ms, &why), 0);
    assert_int_equal(ms, 500);
    assert_int_equal(param_duration("1h30m", &ms, &why), 0);
    assert_int_equal(ms, 5400000);
    assert_int_equal(param_duration("1.001", &ms, &why), 0);
    assert_int_equal(ms, 1000); /* 1000999999 ns in Go, cut */
    assert_int_equal(param_duration("bar", &ms, &why), ERR_INVALID);
    assert_string_equal(why.text, "cannot parse \"bar\" to a valid duration");
    why.text[0] = '\0';
    assert_int_equal(param_duration("1e30", &ms, &why), ERR_INVALID);
    assert_string_equal(why.text,
                        "cannot parse \"1e30\" to a valid duration. It overflows int64");
}

static void limits_are_counts(void **state)
{
    (void)state;
    size_t limit = 9;
    assert_int_equal(param_limit(NULL, &limit, NULL), 0);
    assert_int_equal(limit, 0);
    assert_int_equal(param_limit("40000", &limit, NULL), 0);
    assert_int_equal(limit, 40000);
    struct diagnosis why = {0};
    assert_int_equal(param_limit("-1", &limit, &why), ERR_INVALID);
    assert_string_equal(why.text, "limit must be non-negative");
    assert_int_equal(param_limit("1x", &limit, NULL), ERR_INVALID);
}

static void json_keeps_commas_and_escapes(void **state)
{
    (void)state;
    struct buf out = {0};
    struct json_writer json = json_write_to(&out);
    json_write_object(&json);
    json_write_key(&json, "a");
    json_write_array(&json);
    json_write_integer(&json, -1);
    json_write_text(&json, "q\"\\\n\t\x01\x7f");
    json_write_boolean(&json, true);
    json_write_array(&json);
    json_write_end(&json);
    json_write_end(&json);
    json_write_key(&json, "烽");
    json_write_number(&json, 0.1);
    json_write_end(&json);
    assert_string_equal(buf_text(&out),
                        "{\"a\":[-1,\"q\\\"\\\\\\n\\t\\u0001\\u007f\",true,[]],\"烽\":0.1}");
    buf_done(&out);
}

/* Eight bytes are looked at in one: each byte at each place, among others that need nothing. */
static void json_escapes_wherever_it_is_needed(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        for (size_t place = 0; place < 20; place++) {
            static const char dull[] = "~ abcdefg ~ hijklmno";
            char text[] = "~ abcdefg ~ hijklmno";
            char escape[8] = {(char)c};
            char expected[40];
            text[place] = (char)c;
            if (c == '"' || c == '\\')
                (void)snprintf(escape, sizeof escape, "\\%c", c);
            else if (c == '\n' || c == '\r' || c == '\t')
                (void)snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
            else if (c < 0x20 || c == 0x7f)
                (void)snprintf(escape, sizeof escape, "\\u%04x", c);
            (void)snprintf(expected, sizeof expected, "\"%.*s%s%s\"", (int)place, dull, escape,
                           dull + place + 1);
            struct buf out = {0};
            struct json_writer json = json_write_to(&out);
            json_write_string(&json, (struct bytes){(const uint8_t *)text, 20});
            assert_string_equal(buf_text(&out), expected);
            buf_done(&out);
        }
    }
}

static void json_is_always_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"\xff", "\"\xef\xbf\xbd\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"a\xe7\x83", "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xf0\x9f\x94\xa5", "\"\xf0\x9f\x94\xa5\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        struct json_writer json = json_write_to(&out);
        json_write_text(&json, cases[i].from);
        assert_string_equal(buf_text(&out), cases[i].to);
        buf_done(&out);
    }
}

static void seconds_have_no_fraction_or_three_digits(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {1435781430000, "1435781430"},
        {1435781451700, "1435781451.700"},
        {1435781451007, "1435781451.007"},
        {0, "0"},
        {1, "0.001"},
        {-1500, "-1.500"},
        {-1000, "-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        struct json_writer json = json_write_to(&out);
        json_write_seconds(&json, cases[i].ms);
        assert_string_equal(buf_text(&out), cases[i].text);
        buf_done(&out);
    }
}

static void instants_are_utc(void **state)
{
    (void)state;
    struct buf out = {0};
    struct json_writer json = json_write_to(&out);
    json_write_instant(&json, 1435781451781);
    assert_string_equal(buf_text(&out), "\"2015-07-01T20:10:51.781Z\"");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_decode_as_browsers_encode),
        cmocka_unit_test(a_form_has_the_limit_of_its_arena),
        cmocka_unit_test(times_are_read_as_prometheus_reads_them),
        cmocka_unit_test(what_is_no_time_is_named),
        cmocka_unit_test(durations_are_seconds_or_units),
        cmocka_unit_test(limits_are_counts),
        cmocka_unit_test(json_keeps_commas_and_escapes),
        cmocka_unit_test(json_escapes_wherever_it_is_needed),
        cmocka_unit_test(json_is_always_utf8),
        cmocka_unit_test(seconds_have_no_fraction_or_three_digits),
        cmocka_unit_test(instants_are_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
