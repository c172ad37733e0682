/* Texts of both formats in, samples or a reason out; the same in whatever pieces they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/error.h"
#include "proto/exposition/exposition.h"

static uint8_t line_buffer[EXPOSITION_LINE_BYTES];

static void print_sample(struct buf *out, const struct exposition_sample *sample)
{
    char number[EXPOSITION_NUMBER_BYTES];
    exposition_put_series(out, sample->name, sample->labels, sample->label_count);
    buf_put_char(out, ' ');
    buf_put(out, number, exposition_number_text(sample->value, number));
    if (sample->has_time)
        buf_printf(out, " @%lld", (long long)sample->time_ms);
    if (sample->family != NULL)
        buf_printf(out, " <%.*s %d [%.*s] [%.*s]>", (int)sample->family->name.size,
                   (const char *)sample->family->name.data, (int)sample->family->type,
                   (int)sample->family->unit.size, (const char *)sample->family->unit.data,
                   (int)sample->family->help.size, (const char *)sample->family->help.data);
    buf_put_char(out, '\n');
}

/* Everything the text says, a line each: samples and reasons. */
static const char *read_all(enum exposition_format format, const char *source,
                            struct bytes text, size_t piece_size, size_t capacity)
{
    static struct buf out;
    struct exposition parser;
    struct exposition_sample sample;
    int got = 0;
    buf_clear(&out);
    exposition_init(&parser, format, source, line_buffer, capacity);
    for (size_t at = 0; at < text.size; at += piece_size) {
        struct bytes piece = {text.data + at,
                              text.size - at < piece_size ? text.size - at : piece_size};
        struct diagnosis why = {0};
        while ((got = exposition_next(&parser, &piece, &sample, &why)) != EXPOSITION_MORE) {
            if (got == EXPOSITION_SAMPLE)
                print_sample(&out, &sample);
            else if (got < 0)
                buf_printf(&out, "%s\n", why.text);
            why.text[0] = '\0';
        }
        assert_int_equal(piece.size, 0);
    }
    do {
        struct diagnosis why = {0};
        got = exposition_end(&parser, &sample, &why);
        if (got == EXPOSITION_SAMPLE)
            print_sample(&out, &sample);
        else if (got < 0)
            buf_printf(&out, "%s\n", why.text);
    } while (got > 0);
    return buf_text(&out);
}

struct text_case {
    const char *because, *text, *expected;
};

static void check(enum exposition_format format, const struct text_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct text_case *c = &cases[i];
        size_t size = strlen(c->text);
        for (size_t piece = 1; piece <= size; piece += piece < 3 ? 1 : size / 3 + 1) {
            const char *got = read_all(format, NULL, bytes_of(c->text), piece, 1024);
            if (strcmp(got, c->expected) != 0)
                fail_msg("%s (pieces of %zu)\n text: %s\n  got: %s\n want: %s", c->because,
                         piece, c->text, got, c->expected);
        }
    }
}

static void prometheus_text_is_read_leniently(void **state)
{
    static const struct text_case cases[] = {
        {"the plainest line", "up 1\n", "up 1\n"},
        {"a time is in milliseconds", "up 1 1395066363000\n", "up 1 @1395066363000\n"},
        {"a time may lie before 1970", "up 1 -3982045\n", "up 1 @-3982045\n"},
        {"labels come out in order", "m{b=\"2\",a=\"1\"} 1\n", "m{a=\"1\",b=\"2\"} 1\n"},
        {"a comma may end the labels", "m{a=\"1\",} 1\n", "m{a=\"1\"} 1\n"},
        {"no labels between braces", "m{} 1\n", "m 1\n"},
        {"blanks and tabs anywhere", "\t m \t{ a = \"1\" , b\t=\"2\" }\t1 \t7\t \n",
         "m{a=\"1\",b=\"2\"} 1 @7\n"},
        {"the brace ends the name's part", "m{a=\"1\"}1\n", "m{a=\"1\"} 1\n"},
        {"the last newline is missing", "a 1\nb 2", "a 1\nb 2\n"},
        {"lines end as on Windows", "a 1\r\nb{x=\"y\"} 2\r\n", "a 1\nb{x=\"y\"} 2\n"},
        {"empty lines and comments", "\n#\n# \n#x\n# any thing\n#HELP a b\n# HELP\n  \na 1\n",
         "a 1\n"},
        {"\"# EOF\" is a comment", "# EOF\na 1\n", "a 1\n"},
        {"escapes in a value", "m{a=\"\\\\x\\\"y\\nz\\t\"} 1\n",
         "m{a=\"\\\\x\\\"y\\nz\\\\t\"} 1\n"},
        {"an empty value is no label", "m{a=\"\",b=\"1\"} 1\n", "m{b=\"1\"} 1\n"},
        {"names in quotes", "{\"磁盘.温度\",\"槽 位\"=\"3\"} 41.5\n",
         "{\"磁盘.温度\",\"槽 位\"=\"3\"} 41.5\n"},
        {"the quoted name may come late", "{a=\"1\", \"m.n\"} 2\n", "{\"m.n\",a=\"1\"} 2\n"},
        {"quotes that were not needed", "{\"m\",\"a\"=\"1\"} 2\n", "m{a=\"1\"} 2\n"},
        {"colons in names of metrics", "a:b 1\n", "a:b 1\n"},
        {"metadata reach their family",
         "# HELP m Some \\\\ help\\n here \n# TYPE m\tcounter \nm 1\nm_total 2\nn 3\n",
         "m 1 <m 1 [] [Some \\ help\n here ]>\nm_total 2 <m 1 [] [Some \\ help\n here ]>\nn "
         "3\n"},
        {"a histogram's parts are its family's",
         "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nh_count 3\nh_total 4\n",
         "h_bucket{le=\"1\"} 1 <h 3 [] []>\nh_sum 2 <h 3 [] []>\nh_count 3 <h 3 [] []>\n"
         "h_total 4\n"},
        {"a unit in Prometheus text", "# UNIT m bytes\nm 1\n", "m 1 <m 0 [bytes] []>\n"},
        {"a quoted family", "# TYPE \"m.n\" gauge\n{\"m.n\"} 1\n",
         "{\"m.n\"} 1 <m.n 2 [] []>\n"},
        {"a help without text", "# HELP m\nm 1\n", "m 1 <m 0 [] []>\n"},
    };
    (void)state;
    check(EXPOSITION_PROMETHEUS, cases, sizeof cases / sizeof *cases);
}

static void what_is_wrong_is_named_and_costs_one_line(void **state)
{
    static const struct text_case cases[] = {
        {"only the line is lost", "a 1\nb x\nc 3\n", "a 1\nline 2: \"x\" is no number\nc 3\n"},
        {"no value", "a\n", "line 1: expected a value, but the line ends\n"},
        {"no name", "1a 2\n", "line 1: expected a metric name, not \"1a 2\"\n"},
        {"a dash in a name", "a-b 1\n",
         "line 1: expected a blank or \"{\" after the metric name, not \"-b 1\"\n"},
        {"an open quote", "a{b=\"c} 1\n", "line 1: a quote is not closed\n"},
        {"an open brace", "a{b=\"c\" 1\n",
         "line 1: expected \",\" or \"}\" after a label, not \"1\"\n"},
        {"no comma", "a{b=\"c\"d=\"e\"} 1\n",
         "line 1: expected \",\" or \"}\" after a label, not \"d=\"e\"} 1\"\n"},
        {"only a comma", "a{,} 1\n",
         "line 1: expected a label's name or \"}\", not \",} 1\"\n"},
        {"no quotes", "a{b=c} 1\n",
         "line 1: expected a label's value in quotes, not \"c} 1\"\n"},
        {"no equals sign", "a{b} 1\n",
         "line 1: expected \"=\" after a label's name, not \"} 1\"\n"},
        {"a colon in a label", "a{b:c=\"d\"} 1\n",
         "line 1: expected \"=\" after a label's name, not \":c=\"d\"} 1\"\n"},
        {"a label twice", "a{b=\"1\",c=\"2\",b=\"3\"} 1\n",
         "line 1: the label \"b\" is there twice\n"},
        {"__name__ as a label", "a{__name__=\"b\"} 1\n",
         "line 1: __name__ is no label here: write {\"name\", ...}\n"},
        {"no name at all", "{a=\"1\"} 1\n",
         "line 1: no metric name before or between the braces\n"},
        {"two names", "m{\"n\"} 1\n", "line 1: a second metric name between the braces\n"},
        {"an empty name", "{\"\"} 1\n", "line 1: a name is empty\n"},
        {"bytes that are no UTF-8", "a{b=\"\xff\"} 1\n", "line 1: \"?\" is no UTF-8 text\n"},
        {"a time that is no integer", "a 1 1.5\n",
         "line 1: \"1.5\" is no timestamp in whole milliseconds\n"},
        {"a time past 64 bits", "a 1 9223372036854775808\n",
         "line 1: \"9223372036854775808\" is no timestamp in whole milliseconds\n"},
        {"more than a time", "a 1 2 3\n", "line 1: expected the end of the line, not \"3\"\n"},
        {"an exemplar", "a 1 # {} 1\n",
         "line 1: \"#\" is no timestamp in whole milliseconds\n"},
        {"a type nobody knows", "# TYPE a guage\n",
         "line 1: unknown metric type \"guage\" (did you mean \"gauge\"?)\n"},
        {"a help for nothing", "# HELP 1a b\n",
         "line 1: expected a metric name and a text after HELP\n"},
        {"a help that is no UTF-8", "# HELP a \xc3(\n", "line 1: the help is no UTF-8 text\n"},
        {"numbers past double", "a 1e999\n", "line 1: the number \"1e999\" is out of range\n"},
    };
    (void)state;
    check(EXPOSITION_PROMETHEUS, cases, sizeof cases / sizeof *cases);
    assert_string_equal(read_all(EXPOSITION_PROMETHEUS, "x.prom", bytes_of("\nb x\n"), 4, 64),
                        "x.prom:2: \"x\" is no number\n");
}

static void openmetrics_is_read_strictly(void **state)
{
    static const struct text_case cases[] = {
        {"times are seconds", "m 1 1.5\nm 1 1520879607.789\nm 1 -0.0004\n# EOF\n",
         "m 1 @1500\nm 1 @1520879607789\nm 1 @0\n"},
        {"no newline after the end", "m 1\n# EOF", "m 1\n"},
        {"the end is missing", "m 1\n", "m 1\nline 1: the text does not end with \"# EOF\"\n"},
        {"cut inside a line", "m 1\nn 2",
         "m 1\nline 2: the text ends inside a line, without \"# EOF\"\n"},
        {"more after the end", "# EOF\nm 1\n", "line 2: there is more after \"# EOF\"\n"},
        {"an empty line", "\n# EOF\n", "line 1: OpenMetrics has no empty lines\n"},
        {"another comment", "# hello\n# EOF\n",
         "line 1: OpenMetrics has HELP, TYPE, UNIT and EOF, no other comments\n"},
        {"two spaces", "m  1\n# EOF\n", "line 1: expected a value, not \" 1\"\n"},
        {"a space at the end", "m 1 \n# EOF\n",
         "line 1: expected a timestamp, but the line ends\n"},
        {"a space behind the time", "m 1 2 \n# EOF\n",
         "line 1: expected an exemplar, but the line ends\n"},
        {"a third number", "m 1 2 3\n# EOF\n", "line 1: expected an exemplar, not \"3\"\n"},
        {"a space before a label", "m{ a=\"1\"} 1\n# EOF\n",
         "line 1: expected a label's name or \"}\", not \" a=\"1\"} 1\"\n"},
        {"a tab", "m\t1\n# EOF\n", "line 1: expected a value, not \"?1\"\n"},
        {"a carriage return", "m 1\r\n# EOF\n", "line 1: \"1?\" is no number\n"},
        {"exemplars are left out",
         "h_bucket{le=\"1\"} 7 # {trace_id=\"K\"} 0.5 1.5\nc_total 1 2 # {} 3\n# EOF\n",
         "h_bucket{le=\"1\"} 7\nc_total 1 @2000\n"},
        {"but not if they are broken", "c_total 1 # {a} 3\n# EOF\n",
         "line 1: expected \"=\" after a label's name, not \"} 3\"\n"},
        {"an exemplar without value", "c_total 1 # {a=\"b\"}\n# EOF\n",
         "line 1: expected an exemplar's value, but the line ends\n"},
        {"metadata",
         "# TYPE a_bytes info\n# UNIT a_bytes bytes\n# HELP a_bytes x \\\"y\\\"\n"
         "a_bytes_info{v=\"1\"} 1\n# EOF\n",
         "a_bytes_info{v=\"1\"} 1 <a_bytes 5 [bytes] [x \"y\"]>\n"},
        {"a unit that is not in the name", "# UNIT a bytes\n# EOF\n",
         "line 1: the unit \"bytes\" does not end its metric's name\n"},
        {"Prometheus's word for unknown", "# TYPE a untyped\n# EOF\n",
         "line 1: unknown metric type \"untyped\" (did you mean \"unknown\"?)\n"},
        {"a time without end", "m 1 NaN\n# EOF\n",
         "line 1: \"NaN\" is no timestamp in seconds\n"},
        {"a time past 64 bits", "m 1 1e300\n# EOF\n",
         "line 1: \"1e300\" is no timestamp in seconds\n"},
        {"a help without its text", "# HELP m\n# EOF\n",
         "line 1: expected a metric name and a text after HELP\n"},
    };
    (void)state;
    check(EXPOSITION_OPENMETRICS, cases, sizeof cases / sizeof *cases);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void numbers_are_those_of_go(void **state)
{
    static const struct {
        const char *text;
        int error;
        double value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, -0.0},
        {"+1.50", 0, 1.5},
        {".5", 0, 0.5},
        {"5.", 0, 5},
        {"1e3", 0, 1000},
        {"1E-3", 0, 0.001},
        {"+Inf", 0, HUGE_VAL},
        {"-inf", 0, -HUGE_VAL},
        {"Infinity", 0, HUGE_VAL},
        {"9007199254740993", 0, 9007199254740992.0},
        {"1.7976931348623157e308", 0, 1.7976931348623157e308},
        {"5e-324", 0, 5e-324},
        {"1e-400", 0, 0},
        {"0.1", 0, 0.1},
        {"123456789012345678901234567890", 0, 123456789012345678901234567890.0},
        {"0.000000000000000000000000000001", 0, 1e-30},
        {"1e22", 0, 1e22},
        {"1e23", 0, 1e23},
        {"8.41e21", 0, 8.41e21},
        {"00000000000000000000000001", 0, 1},
        {"1e999", ERR_LIMIT, 0},
        {"", ERR_MALFORMED, 0},
        {".", ERR_MALFORMED, 0},
        {"+", ERR_MALFORMED, 0},
        {"1e", ERR_MALFORMED, 0},
        {"1e+", ERR_MALFORMED, 0},
        {"0x10", ERR_MALFORMED, 0},
        {"0x1p3", ERR_MALFORMED, 0},
        {"1_0", ERR_MALFORMED, 0},
        {"1.2.3", ERR_MALFORMED, 0},
        {"+nan", ERR_MALFORMED, 0},
        {"infin", ERR_MALFORMED, 0},
        {"1,5", ERR_MALFORMED, 0},
        {" 1", ERR_MALFORMED, 0},
        {"--1", ERR_MALFORMED, 0},
    };
    double value = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        value = 77;
        int error = exposition_number(bytes_of(cases[i].text), &value);
        if (error != cases[i].error ||
            (error == 0 && bits_of(value) != bits_of(cases[i].value)) ||
            (error != 0 && value != 77))
            fail_msg("\"%s\": error %d, %.17g", cases[i].text, error, value);
    }
    assert_int_equal(exposition_number(bytes_of("nan"), &value), 0);
    assert_true(bits_of(value) == UINT64_C(0x7ff8000000000001));
}

static void written_numbers_read_back_the_same(void **state)
{
    static const double some[] = {0,
                                  -0.0,
                                  1,
                                  -1,
                                  0.1,
                                  0.30000000000000004,
                                  1e15,
                                  1e16,
                                  1.5e300,
                                  5e-324,
                                  1e-7,
                                  123456.789,
                                  1e21,
                                  1.0 / 3,
                                  4503599627370497.5,
                                  9007199254740993.0,
                                  1e-9,
                                  1.7976931348623157e308,
                                  1700000000.123,
                                  2e-10};
    char text[EXPOSITION_NUMBER_BYTES];
    uint64_t random = 88172645463325252u;
    (void)state;
    for (size_t i = 0; i < 200000; i++) {
        double value = 0;
        double again = 0;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (i < sizeof some / sizeof *some)
            value = some[i];
        else if (i % 2 == 0)
            memcpy(&value, &random, sizeof value);
        else
            value = (double)(int64_t)(random >> 20) / (double)(1 + (random & 0xffff));
        if (isnan(value))
            continue;
        size_t size = exposition_number_text(value, text);
        assert_in_range(size, 1, sizeof text);
        assert_int_equal(exposition_number((struct bytes){(uint8_t *)text, size}, &again), 0);
        if (bits_of(value) != bits_of(again))
            fail_msg("%.17g became %.*s", value, (int)size, text);
    }
    assert_int_equal(exposition_number_text(0.05, text), 4);
    assert_memory_equal(text, "0.05", 4);
    assert_int_equal(exposition_number_text(-1234.5, text), 7);
    assert_memory_equal(text, "-1234.5", 7);
}

static void limits_are_errors_of_one_line(void **state)
{
    struct buf text = {0};
    (void)state;
    buf_put_text(&text, "a{l=\"");
    for (size_t i = 0; i < 300; i++)
        buf_put_char(&text, 'x');
    buf_put_text(&text, "\"} 1\nb 2\n");
    assert_string_equal(read_all(EXPOSITION_PROMETHEUS, NULL, buf_bytes(&text), 7, 128),
                        "line 1: the line is longer than 128 bytes\nb 2\n");
    buf_clear(&text);
    buf_put_text(&text, "a{");
    for (size_t i = 0; i <= SERIES_LABELS_MAX; i++)
        buf_printf(&text, "l%zu=\"x\",", i);
    buf_put_text(&text, "} 1\nb 2\n");
    assert_string_equal(
        read_all(EXPOSITION_PROMETHEUS, NULL, buf_bytes(&text), 999, sizeof line_buffer),
        "line 1: more than 64 labels\nb 2\n");
    buf_clear(&text);
    for (size_t i = 0; i <= NAME_BYTES_MAX; i++)
        buf_put_char(&text, 'n');
    buf_put_text(&text, " 1\na{l=\"");
    for (size_t i = 0; i <= LABEL_VALUE_BYTES_MAX; i++)
        buf_put_char(&text, 'v');
    buf_put_text(&text, "\"} 1\n# HELP b ");
    for (size_t i = 0; i < HELP_BYTES_MAX; i++)
        buf_put_text(&text, "风");
    buf_put_text(&text, "\nc 2\n");
    assert_string_equal(
        read_all(EXPOSITION_PROMETHEUS, NULL, buf_bytes(&text), 999, sizeof line_buffer),
        "line 1: a name of 1025 bytes; at most 1024\n"
        "line 2: a value of the label \"l\" of 4097 bytes; at most 4096\nc 2\n");
    buf_done(&text);
}

static void a_long_help_is_cut_between_characters(void **state)
{
    struct exposition parser;
    struct exposition_sample sample;
    struct buf text = {0};
    (void)state;
    buf_put_text(&text, "# HELP b ");
    for (size_t i = 0; i < HELP_BYTES_MAX; i++)
        buf_put_text(&text, "风");
    buf_put_char(&text, '\n');
    struct bytes piece = buf_bytes(&text);
    exposition_init(&parser, EXPOSITION_PROMETHEUS, NULL, line_buffer, sizeof line_buffer);
    assert_int_equal(exposition_next(&parser, &piece, &sample, NULL), EXPOSITION_METADATA);
    assert_int_equal(exposition_family(&parser)->help.size, HELP_BYTES_MAX / 3 * 3);
    buf_done(&text);
}

static void metadata_lines_are_written_as_they_are_read(void **state)
{
    const struct exposition_family family = {.name = bytes_of("a.b"),
                                             .type = METRIC_COUNTER,
                                             .unit = bytes_of("bytes"),
                                             .help = bytes_of("one\n\\two \"three\"")};
    const struct exposition_family silent = {.name = bytes_of("a")};
    struct buf out = {0};
    (void)state;
    exposition_put_family(&out, &family);
    exposition_put_family(&out, &silent);
    assert_string_equal(buf_text(&out), "# HELP \"a.b\" one\\n\\\\two \"three\"\n"
                                        "# TYPE \"a.b\" counter\n# UNIT \"a.b\" bytes\n");
    buf_put_text(&out, "{\"a.b\"} 1\n");
    assert_string_equal(read_all(EXPOSITION_PROMETHEUS, NULL, buf_bytes(&out), 5, 1024),
                        "{\"a.b\"} 1 <a.b 1 [bytes] [one\n\\two \"three\"]>\n");
    buf_done(&out);
}

static void marks_are_read_only_where_asked_for(void **state)
{
    static const char text[] =
        "# STALE a{b=\"c\"} 7\n# NAN fff8000000000000 a 8\n# NAN 7ff0 a 9\n"
        "# NAN 3ff0000000000000 a 9\na NaN 9\n";
    static const uint64_t expected[] = {UINT64_C(0x7ff0000000000002),
                                        UINT64_C(0xfff8000000000000),
                                        UINT64_C(0x7ff8000000000001)};
    struct exposition parser;
    struct exposition_sample sample;
    struct bytes piece = bytes_of(text);
    size_t samples = 0;
    size_t errors = 0;
    int got = 0;
    (void)state;
    assert_string_equal(read_all(EXPOSITION_PROMETHEUS, NULL, bytes_of(text), 9, 1024),
                        "a NaN @9\n");
    exposition_init(&parser, EXPOSITION_PROMETHEUS, NULL, line_buffer, sizeof line_buffer);
    exposition_read_marks(&parser);
    while ((got = exposition_next(&parser, &piece, &sample, NULL)) != EXPOSITION_MORE) {
        errors += got < 0;
        if (got < 0)
            continue;
        assert_true(samples < 3 && bits_of(sample.value) == expected[samples]);
        assert_int_equal(sample.time_ms, 7 + (int)samples);
        samples++;
    }
    assert_int_equal(samples, 3);
    assert_int_equal(errors, 2);
}

static void samples_are_written_with_marks(void **state)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } cases[] = {
        {UINT64_C(0x7ff0000000000002), "# STALE a{b=\"c\"} -5\n"},
        {UINT64_C(0x7ff8000000000001), "a{b=\"c\"} NaN -5\n"},
        {UINT64_C(0xfff8000000000000),
         "a{b=\"c\"} NaN -5\n# NAN fff8000000000000 a{b=\"c\"} -5\n"},
        {UINT64_C(0x3ff8000000000000), "a{b=\"c\"} 1.5 -5\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        double value;
        memcpy(&value, &cases[i].bits, sizeof value);
        exposition_put_sample(&out, bytes_of("a{b=\"c\"}"), value, -5);
        assert_string_equal(buf_text(&out), cases[i].text);
        buf_done(&out);
    }
}

static void the_content_type_says_which_format(void **state)
{
    (void)state;
    assert_int_equal(exposition_format_of(NULL), EXPOSITION_PROMETHEUS);
    assert_int_equal(exposition_format_of("text/plain; version=0.0.4"), EXPOSITION_PROMETHEUS);
    assert_int_equal(exposition_format_of("application/OpenMetrics-text; version=1.0.0"),
                     EXPOSITION_OPENMETRICS);
    assert_int_equal(exposition_format_of("application/openmetrics-textual"),
                     EXPOSITION_PROMETHEUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_text_is_read_leniently),
        cmocka_unit_test(what_is_wrong_is_named_and_costs_one_line),
        cmocka_unit_test(openmetrics_is_read_strictly),
        cmocka_unit_test(numbers_are_those_of_go),
        cmocka_unit_test(written_numbers_read_back_the_same),
        cmocka_unit_test(limits_are_errors_of_one_line),
        cmocka_unit_test(a_long_help_is_cut_between_characters),
        cmocka_unit_test(metadata_lines_are_written_as_they_are_read),
        cmocka_unit_test(marks_are_read_only_where_asked_for),
        cmocka_unit_test(samples_are_written_with_marks),
        cmocka_unit_test(the_content_type_says_which_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
