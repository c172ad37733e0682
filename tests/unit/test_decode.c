/*
 * test_decode.c - whatever the bytes of a line are, they come out as UTF-8; and what the line
 * says about how bad things are.
 */
#include <iconv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "probe/log/decode.h"
#include "probe/log/severity.h"

#define RAW(text)                                                                              \
    {                                                                                          \
        (const uint8_t *)(text), sizeof(text) - 1                                              \
    }

static const struct {
    const char *because;
    enum log_encoding encoding;
    struct bytes raw;
    const char *text;
    bool replaced;
} cases[] = {
    {"UTF-8 passes", LOG_ENCODING_UTF8, RAW("数据库 ok 🙂"), "数据库 ok 🙂", false},
    {"a carriage return at the end is not text", LOG_ENCODING_UTF8, RAW("a\r"), "a", false},
    {"a mark at the start is not text", LOG_ENCODING_UTF8,
     RAW("\xef\xbb\xbf"
         "a"),
     "a", false},
    {"the hole of a truncation is not text", LOG_ENCODING_UTF8, RAW("\0\0\0after"), "after",
     false},
    {"a bad byte is replaced", LOG_ENCODING_UTF8,
     RAW("a\xff"
         "b"),
     "a\xef\xbf\xbd"
     "b",
     true},
    {"a character cut short is replaced once", LOG_ENCODING_UTF8, RAW("\xe6\x95"),
     "\xef\xbf\xbd", true},
    {"an overlong form is bad", LOG_ENCODING_UTF8, RAW("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd",
     true},
    {"a surrogate is bad", LOG_ENCODING_UTF8, RAW("\xed\xa0\x80"),
     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", true},
    {"GB18030 is converted", LOG_ENCODING_GB18030, RAW("\xca\xfd\xbe\xdd\xbf\xe2 ok"),
     "数据库 ok", false},
    {"GB18030 has four-byte forms", LOG_ENCODING_GB18030, RAW("\x81\x39\xee\x39"), "㐀", false},
    {"half a GB18030 character is replaced", LOG_ENCODING_GB18030, RAW("ok\xca"),
     "ok\xef\xbf\xbd", true},
    {"auto takes UTF-8 for what it is", LOG_ENCODING_AUTO, RAW("数据库"), "数据库", false},
    {"auto finds GB18030", LOG_ENCODING_AUTO, RAW("\xca\xfd\xbe\xdd\xbf\xe2"), "数据库", false},
    {"auto falls back to UTF-8", LOG_ENCODING_AUTO, RAW("a\xff"), "a\xef\xbf\xbd", true},
    {"UTF-16, little end first", LOG_ENCODING_UTF16LE,
     RAW("\xff\xfe"
         "a\0p\x65\r\0"),
     "a数", false},
    {"UTF-16, big end first", LOG_ENCODING_UTF16BE, RAW("\0a\x65\x70"), "a数", false},
    {"UTF-16 has pairs", LOG_ENCODING_UTF16LE, RAW("\x3d\xd8\x42\xde"), "🙂", false},
    {"half a pair is replaced", LOG_ENCODING_UTF16LE,
     RAW("\x3d\xd8"
         "a\0"),
     "\xef\xbf\xbd"
     "a",
     true},
    {"half a unit is replaced", LOG_ENCODING_UTF16LE, RAW("a\0b"), "a\xef\xbf\xbd", true},
};

static void every_encoding_comes_out_as_utf8(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t text[64];
        struct decoded decoded =
            decode_line(cases[i].encoding, cases[i].raw, text, sizeof text);
        if (!bytes_equal((struct bytes){text, decoded.size}, bytes_of(cases[i].text)) ||
            decoded.replaced != cases[i].replaced || decoded.cut)
            fail_msg("%s: \"%.*s\"", cases[i].because, (int)decoded.size, (const char *)text);
    }
}

/* The whole of GB18030 read a second way: by the C library, where it can. */
static void gb18030_agrees_with_iconv(void **state)
{
    (void)state;
    iconv_t other = iconv_open("UTF-8", "GB18030");
    if (other == (iconv_t)-1)
        skip();
    size_t compared = 0;
    for (uint32_t lead = 0x81; lead <= 0xfe; lead++)
        for (uint32_t trail = 0x30; trail <= 0xfe; trail++)
            for (uint32_t last = 0; last < (trail < 0x3a ? 1260u : 1u); last++) {
                uint8_t raw[4] = {(uint8_t)lead, (uint8_t)trail, (uint8_t)(0x81 + last / 10),
                                  (uint8_t)(0x30 + last % 10)};
                size_t size = trail < 0x3a ? 4 : 2;
                char expected[8];
                char *from = (char *)raw;
                char *to = expected;
                size_t from_left = size;
                size_t to_left = sizeof expected;
                (void)iconv(other, NULL, NULL, NULL, NULL);
                if (iconv(other, &from, &from_left, &to, &to_left) != 0)
                    continue; /* what it refuses we may take */
                uint8_t text[8];
                struct decoded decoded = decode_line(
                    LOG_ENCODING_GB18030, (struct bytes){raw, size}, text, sizeof text);
                struct bytes wanted = {(uint8_t *)expected, sizeof expected - to_left};
                if (!bytes_equal((struct bytes){text, decoded.size}, wanted) &&
                    memcmp(expected, "\xef\xbb\xbf", 3) != 0)
                    fail_msg("%02x %02x %02x %02x", raw[0], raw[1], raw[2], raw[3]);
                compared++;
            }
    (void)iconv_close(other);
    assert_true(compared > 1000000);
}

static void a_small_room_cuts_at_a_character(void **state)
{
    (void)state;
    static const enum log_encoding encodings[] = {LOG_ENCODING_UTF8, LOG_ENCODING_AUTO};
    for (size_t i = 0; i < 2; i++)
        for (size_t room = 0; room < 12; room++) {
            uint8_t text[12];
            struct decoded decoded = decode_line(encodings[i], bytes_of("数据库"), text, room);
            assert_int_equal(decoded.size, room / 3 * 3 > 9 ? 9 : room / 3 * 3);
            assert_true(decoded.cut == (room < 9));
        }
}

static void newlines_are_found_by_encoding(void **state)
{
    (void)state;
    assert_int_equal(log_newline_find(LOG_ENCODING_UTF8, bytes_of("ab\nc")), 2);
    assert_int_equal(log_newline_find(LOG_ENCODING_UTF8, bytes_of("abc")), 3);
    /* U+0A00 and U+000A hold the same bytes. */
    struct bytes raw = RAW("\x00\x0a\x61\x00\x0a\x00");
    assert_int_equal(log_newline_find(LOG_ENCODING_UTF16LE, raw), 4);
    assert_int_equal(log_newline_find(LOG_ENCODING_UTF16BE, raw), 0);
    assert_int_equal(log_encoding_of_file(LOG_ENCODING_UTF16, (struct bytes)RAW("\xfe\xff")),
                     LOG_ENCODING_UTF16BE);
    assert_int_equal(log_encoding_of_file(LOG_ENCODING_AUTO, (struct bytes)RAW("\xff\xfe")),
                     LOG_ENCODING_UTF16LE);
    assert_int_equal(log_encoding_of_file(LOG_ENCODING_AUTO, (struct bytes)RAW("ab")),
                     LOG_ENCODING_AUTO);
}

static void long_lines_are_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(log_whole_characters(LOG_ENCODING_UTF8, bytes_of("a数")), 4);
    assert_int_equal(log_whole_characters(LOG_ENCODING_UTF8, (struct bytes)RAW("a\xe6\x95")),
                     1);
    assert_int_equal(log_whole_characters(LOG_ENCODING_UTF8, (struct bytes)RAW("a\xf0")), 1);
    assert_int_equal(log_whole_characters(LOG_ENCODING_UTF16LE, (struct bytes)RAW("abc")), 2);
}

static void the_first_level_word_decides(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *severity;
    } lines[] = {
        {"2026-02-14 02:13:00 ERROR [main] pool", "error"},
        {"INFO no errors found, error count 0", "info"},
        {"[error] 31#31: connect() failed", "error"},
        {"terror and errors are other words", "unknown"},
        {"my_error is a name", "unknown"},
        {"<11>su: failed", "error"},
        {"<191>x", "debug"},
        {"<999>x", "unknown"},
        {"<>x", "unknown"},
        {"kernel: Warning: low", "warning"},
        {"FATAL: out of memory", "critical"},
        {"2026-02-14 错误：连接数据库失败", "error"},
        {"【警告】磁盘空间不足", "warning"},
        {"ORA-00600: internal", "unknown"},
        {"", "unknown"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (strcmp(severity_name(severity_of(bytes_of(lines[i].text))), lines[i].severity) != 0)
            fail_msg("%s: %s", lines[i].text,
                     severity_name(severity_of(bytes_of(lines[i].text))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_encoding_comes_out_as_utf8),
        cmocka_unit_test(gb18030_agrees_with_iconv),
        cmocka_unit_test(a_small_room_cuts_at_a_character),
        cmocka_unit_test(newlines_are_found_by_encoding),
        cmocka_unit_test(long_lines_are_cut_between_characters),
        cmocka_unit_test(the_first_level_word_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
